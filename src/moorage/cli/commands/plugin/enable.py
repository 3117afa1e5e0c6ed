"""``moor plugin enable``."""

from __future__ import annotations

from moorage.cli.options import Command, Option

TYPE_CHECKING = False
if TYPE_CHECKING:
    from moorage.cli.options import Values
    from moorage.cli.session import Session


def run(session: Session, values: Values, names: list[str]) -> None:
    """Enable a plugin."""
    session.api.post(f"/plugins/{names[0]}/enable", timeout=values.number("timeout"))
    session.out.line(names[0])


COMMAND = Command(
    run,
    arguments="PLUGIN",
    least=1,
    most=1,
    complete="plugins",
    options=(Option("timeout", "", "int", "Seconds to wait for the plugin", default=30),),
)
