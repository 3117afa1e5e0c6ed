"""``moor plugin set``."""

from __future__ import annotations

from moorage.cli.options import Command

TYPE_CHECKING = False
if TYPE_CHECKING:
    from moorage.cli.options import Values
    from moorage.cli.session import Session


def run(session: Session, _: Values, arguments: list[str]) -> None:
    """Change settings of a disabled plugin."""
    session.api.post(f"/plugins/{arguments[0]}/set", arguments[1:])


COMMAND = Command(
    run, arguments="PLUGIN KEY=VALUE [KEY=VALUE...]", least=2, most=None, complete="plugins"
)
