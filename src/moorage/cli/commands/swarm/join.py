"""``moor swarm join``."""

from __future__ import annotations

from moorage.cli.commands.swarm import membership
from moorage.cli.options import Command, Option

TYPE_CHECKING = False
if TYPE_CHECKING:
    from moorage.cli.options import Values
    from moorage.cli.session import Session


def run(session: Session, values: Values, arguments: list[str]) -> None:
    """Have the daemon join a swarm."""
    wanted = {"JoinToken": values.text("token"), "RemoteAddrs": arguments}
    session.api.post("/swarm/join", membership.body(values) | wanted)
    state = session.api.get("/info").get("Swarm") or {}
    role = "manager" if state.get("ControlAvailable") else "worker"
    session.out.line(f"This node joined a swarm as a {role}.")


COMMAND = Command(
    run,
    arguments="HOST:PORT",
    least=1,
    most=1,
    options=(*membership.OPTIONS, Option("token", "", "string", "Token that lets it in")),
)
