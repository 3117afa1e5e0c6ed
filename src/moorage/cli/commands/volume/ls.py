"""``moor volume ls``."""

from __future__ import annotations

from moorage.cli.format.listing import quiet_or, show
from moorage.cli.format.volumes import TABLE, VolumeRow
from moorage.cli.options import FORMAT_HELP, Command, Option
from moorage.cli.text import natural

TYPE_CHECKING = False
if TYPE_CHECKING:
    from moorage.cli.options import Values
    from moorage.cli.session import Session


def run(session: Session, values: Values, _: list[str]) -> None:
    """List volumes."""
    format_ = values.text("format")
    quiet = values.flag("quiet")
    if not format_ and not quiet:
        format_ = session.config.text("volumesFormat")
    answer = session.api.get("/volumes", filters=values.filters())
    found = sorted(answer.get("Volumes") or (), key=lambda volume: natural(volume["Name"]))
    names = [volume["Name"] for volume in found]
    if not quiet_or(session, names, TABLE, format_, quiet=quiet):
        show(session, [VolumeRow(volume) for volume in found], TABLE, format_)


COMMAND = Command(
    run,
    options=(
        Option("filter", "f", "filter", "Show only volumes that match", choices="filters:volume"),
        Option("format", "", "string", FORMAT_HELP),
        Option("quiet", "q", "bool", "Print names only"),
    ),
)
