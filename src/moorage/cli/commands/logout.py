"""``moor logout``."""

from __future__ import annotations

from moorage.cli.options import Command

TYPE_CHECKING = False
if TYPE_CHECKING:
    from moorage.cli.options import Values
    from moorage.cli.session import Session


def run(session: Session, _: Values, arguments: list[str]) -> None:
    """Forget the credentials of a registry."""
    from moorage.client.credentials import DOCKER_HUB, Credentials, hostname_of

    server = hostname_of(arguments[0]) if arguments else DOCKER_HUB
    if server in {"docker.io", "index.docker.io"}:
        server = DOCKER_HUB
    session.out.line(f"Removing login credentials for {server}")
    Credentials(session.config).erase(server)


COMMAND = Command(run, arguments="[SERVER]", most=1)
