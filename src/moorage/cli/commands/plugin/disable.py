"""``moor plugin disable``."""

from __future__ import annotations

from moorage.cli.options import Command, Option

TYPE_CHECKING = False
if TYPE_CHECKING:
    from moorage.cli.options import Values
    from moorage.cli.session import Session


def run(session: Session, values: Values, names: list[str]) -> None:
    """Disable a plugin."""
    session.api.post(f"/plugins/{names[0]}/disable", force=values.flag("force") or None)
    session.out.line(names[0])


COMMAND = Command(
    run,
    arguments="PLUGIN",
    least=1,
    most=1,
    complete="plugins",
    options=(Option("force", "f", "bool", "Even a plugin that is in use"),),
)
