"""``moor plugin upgrade``."""

from __future__ import annotations

from moorage.cli.commands.plugin.installing import GRANT_ALL, download
from moorage.cli.failure import CommandError
from moorage.cli.options import Command, Option
from moorage.cli.references import familiar
from moorage.cli.refusals import NO_TRUST, refuse_trust
from moorage.lib.errors import MoorageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from moorage.cli.options import Values
    from moorage.cli.session import Session


def run(session: Session, values: Values, arguments: list[str]) -> None:
    """Replace a disabled plugin by another version of it."""
    refuse_trust(session, values)
    name = arguments[0]
    try:
        plugin = session.api.get(f"/plugins/{name}/json")
    except MoorageError as e:
        raise CommandError(f"error reading plugin data: {e}") from e
    if plugin["Enabled"]:
        raise CommandError("the plugin must be disabled before upgrading")
    known = str(plugin.get("PluginReference") or "")
    remote = arguments[1] if len(arguments) > 1 else known
    old, new = familiar(known), familiar(remote)
    session.out.line(f"Upgrading plugin {plugin['Name']} from {old} to {new}")
    if old.rpartition(":")[0] != new.rpartition(":")[0] and not values.flag("skip-remote-check"):
        question = "Plugin images do not match, are you sure?"
        if not session.confirm(question):
            raise CommandError("canceling upgrade request")
    download(session, values, f"/plugins/{name}/upgrade", remote, None)
    session.out.line(f"Upgraded plugin {name} to {remote}")


COMMAND = Command(
    run,
    arguments="PLUGIN [REMOTE]",
    least=1,
    most=2,
    complete="plugins",
    options=(
        NO_TRUST,
        GRANT_ALL,
        Option("skip-remote-check", "", "bool", "Take another plugin than the one it came from"),
    ),
)
