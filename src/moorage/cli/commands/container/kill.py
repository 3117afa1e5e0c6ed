"""``moor kill``."""

from __future__ import annotations

from moorage.cli.options import Command, Option

TYPE_CHECKING = False
if TYPE_CHECKING:
    from moorage.cli.options import Values
    from moorage.cli.session import Session
    from moorage.client.api import Api


def run(session: Session, values: Values, names: list[str]) -> int:
    """Send a signal, KILL unless told otherwise."""
    signal = values.text("signal") or None

    def kill(api: Api, name: str) -> str:
        api.post(f"/containers/{name}/kill", signal=signal)
        return name

    return session.each_at_once(names, kill)


COMMAND = Command(
    run,
    arguments="CONTAINER [CONTAINER...]",
    least=1,
    most=None,
    complete="running",
    options=(Option("signal", "s", "string", "Signal to send", choices="signals"),),
)
