"""``moor network ls``."""

from __future__ import annotations

from moorage.cli.format.listing import quiet_or, show
from moorage.cli.format.networks import TABLE, NetworkRow
from moorage.cli.options import FORMAT_HELP, Command, Option
from moorage.cli.text import natural

TYPE_CHECKING = False
if TYPE_CHECKING:
    from moorage.cli.options import Values
    from moorage.cli.session import Session


def run(session: Session, values: Values, _: list[str]) -> None:
    """List networks."""
    format_ = values.text("format")
    quiet = values.flag("quiet")
    if not format_ and not quiet:
        format_ = session.config.text("networksFormat")
    found = session.api.get("/networks", filters=values.filters())
    found.sort(key=lambda network: natural(network["Name"]))
    rows = [NetworkRow(network, truncate=not values.flag("no-trunc")) for network in found]
    identifiers = [row.identifier() for row in rows]
    if not quiet_or(session, identifiers, TABLE, format_, quiet=quiet):
        show(session, rows, TABLE, format_)


COMMAND = Command(
    run,
    options=(
        Option("filter", "f", "filter", "Show only networks that match", choices="filters:network"),
        Option("format", "", "string", FORMAT_HELP),
        Option("no-trunc", "", "bool", "Show everything in full length"),
        Option("quiet", "q", "bool", "Print IDs only"),
    ),
)
