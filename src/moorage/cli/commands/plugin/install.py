"""``moor plugin install``."""

from __future__ import annotations

from moorage.cli.commands.plugin.installing import GRANT_ALL, download
from moorage.cli.options import Command, Option
from moorage.cli.refusals import NO_TRUST, refuse_trust

TYPE_CHECKING = False
if TYPE_CHECKING:
    from moorage.cli.options import Values
    from moorage.cli.session import Session


def run(session: Session, values: Values, arguments: list[str]) -> None:
    """Download a plugin, set it up, and enable it."""
    refuse_trust(session, values)
    remote, settings = arguments[0], arguments[1:]
    name = values.text("alias") or remote
    download(session, values, "/plugins/pull", remote, name)
    if settings:
        session.api.post(f"/plugins/{name}/set", settings)
    if not values.flag("disable"):
        session.api.post(f"/plugins/{name}/enable", timeout=0)
    session.out.line(f"Installed plugin {remote}")


COMMAND = Command(
    run,
    arguments="PLUGIN [KEY=VALUE...]",
    least=1,
    most=None,
    options=(
        Option("alias", "", "string", "Name of the plugin here"),
        Option("disable", "", "bool", "Do not enable it"),
        NO_TRUST,
        GRANT_ALL,
    ),
)
