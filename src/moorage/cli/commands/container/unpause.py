"""``moor unpause``."""

from __future__ import annotations

from moorage.cli.options import Command

TYPE_CHECKING = False
if TYPE_CHECKING:
    from moorage.cli.options import Values
    from moorage.cli.session import Session
    from moorage.client.api import Api


def run(session: Session, _: Values, names: list[str]) -> int:
    """Thaw every container named."""

    def unpause(api: Api, name: str) -> str:
        api.post(f"/containers/{name}/unpause")
        return name

    return session.each_at_once(names, unpause)


COMMAND = Command(run, arguments="CONTAINER [CONTAINER...]", least=1, most=None, complete="paused")
