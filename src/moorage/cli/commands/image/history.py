"""``moor history``."""

from __future__ import annotations

from moorage.cli.format.images import EXACT_HISTORY_TABLE, HISTORY_TABLE, HistoryRow
from moorage.cli.format.listing import quiet_or, show
from moorage.cli.options import FORMAT_HELP, Command, Option
from moorage.cli.references import platform_json

TYPE_CHECKING = False
if TYPE_CHECKING:
    from moorage.cli.options import Values
    from moorage.cli.session import Session


def run(session: Session, values: Values, arguments: list[str]) -> None:
    """Show how an image was made, the newest step first."""
    steps = session.api.get(
        f"/images/{arguments[0]}/history", platform=platform_json(values.text("platform"))
    )
    truncate = not values.flag("no-trunc")
    listed = [HistoryRow(step, truncate=truncate, human=values.flag("human")) for step in steps]
    identifiers = [str(HistoryRow.columns["ID"](row)) for row in listed]
    format_, quiet = values.text("format"), values.flag("quiet")
    table = HISTORY_TABLE if values.flag("human") else EXACT_HISTORY_TABLE
    if not quiet_or(session, identifiers, table, format_, quiet=quiet):
        show(session, listed, table, format_)


COMMAND = Command(
    run,
    arguments="IMAGE",
    least=1,
    most=1,
    complete="images",
    options=(
        Option("format", "", "string", FORMAT_HELP),
        Option("human", "H", "bool", "Show sizes and times for people", True),  # noqa: FBT003
        Option("no-trunc", "", "bool", "Show everything in full length"),
        Option("platform", "", "string", "Platform of the image, such as linux/arm64"),
        Option("quiet", "q", "bool", "Print IDs only"),
    ),
)
