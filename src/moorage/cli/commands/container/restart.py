"""``moor restart``."""

from __future__ import annotations

from moorage.cli.commands.container.stop import OPTIONS, timeout_of
from moorage.cli.options import Command

TYPE_CHECKING = False
if TYPE_CHECKING:
    from moorage.cli.options import Values
    from moorage.cli.session import Session
    from moorage.client.api import Api


def run(session: Session, values: Values, names: list[str]) -> int:
    """Stop and start every container named."""
    signal, seconds = values.text("signal") or None, timeout_of(values)

    def restart(api: Api, name: str) -> str:
        api.post(f"/containers/{name}/restart", signal=signal, t=seconds)
        return name

    return session.each_at_once(names, restart)


COMMAND = Command(
    run,
    arguments="CONTAINER [CONTAINER...]",
    least=1,
    most=None,
    complete="containers",
    options=OPTIONS,
)
