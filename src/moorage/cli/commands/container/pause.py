"""``moor pause``."""

from __future__ import annotations

from moorage.cli.options import Command

TYPE_CHECKING = False
if TYPE_CHECKING:
    from moorage.cli.options import Values
    from moorage.cli.session import Session
    from moorage.client.api import Api


def run(session: Session, _: Values, names: list[str]) -> int:
    """Freeze every container named."""

    def pause(api: Api, name: str) -> str:
        api.post(f"/containers/{name}/pause")
        return name

    return session.each_at_once(names, pause)


COMMAND = Command(run, arguments="CONTAINER [CONTAINER...]", least=1, most=None, complete="running")
