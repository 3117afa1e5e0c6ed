"""``moor wait``."""

from __future__ import annotations

from moorage.cli.options import Command

TYPE_CHECKING = False
if TYPE_CHECKING:
    from moorage.cli.options import Values
    from moorage.cli.session import Session
    from moorage.client.api import Api


def run(session: Session, _: Values, names: list[str]) -> int:
    """Print the exit status of every container named."""

    def wait(api: Api, name: str) -> str:
        answer = api.post(f"/containers/{name}/wait")
        return str(answer["StatusCode"])

    return session.each_at_once(names, wait)


COMMAND = Command(run, arguments="CONTAINER [CONTAINER...]", least=1, most=None, complete="running")
