"""``moor stop``."""

from __future__ import annotations

from moorage.cli.options import Command, Option

TYPE_CHECKING = False
if TYPE_CHECKING:
    from moorage.cli.options import Values
    from moorage.cli.session import Session
    from moorage.client.api import Api

OPTIONS = (
    Option("signal", "s", "string", "Signal to send", choices="signals"),
    Option("timeout", "t", "int", "Seconds to wait before killing the container"),
    Option("time", "", "int", "The old name of --timeout", hidden=True),
)


def timeout_of(values: Values) -> int | None:
    """Return the seconds to wait, None for the container's own."""
    seconds = values.optional_number("timeout")
    return values.optional_number("time") if seconds is None else seconds


def run(session: Session, values: Values, names: list[str]) -> int:
    """Stop every container named."""
    signal, seconds = values.text("signal") or None, timeout_of(values)

    def stop(api: Api, name: str) -> str:
        api.post(f"/containers/{name}/stop", signal=signal, t=seconds)
        return name

    return session.each_at_once(names, stop)


COMMAND = Command(
    run,
    arguments="CONTAINER [CONTAINER...]",
    least=1,
    most=None,
    complete="running",
    options=OPTIONS,
)
