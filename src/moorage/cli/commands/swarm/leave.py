"""``moor swarm leave``."""

from __future__ import annotations

from moorage.cli.options import Command, Option

TYPE_CHECKING = False
if TYPE_CHECKING:
    from moorage.cli.options import Values
    from moorage.cli.session import Session


def run(session: Session, values: Values, _: list[str]) -> None:
    """Leave the swarm."""
    session.api.post("/swarm/leave", force=values.flag("force") or None)
    session.out.line("Node left the swarm.")


COMMAND = Command(
    run, options=(Option("force", "f", "bool", "Leave even as a manager, whatever comes of it"),)
)
