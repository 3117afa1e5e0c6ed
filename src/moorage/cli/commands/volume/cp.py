"""``moor volume cp``."""

from __future__ import annotations

from moorage.cli.options import Command

TYPE_CHECKING = False
if TYPE_CHECKING:
    from moorage.cli.options import Values
    from moorage.cli.session import Session


def run(session: Session, _: Values, arguments: list[str]) -> None:
    """Copy a volume into a new one, and print the new one's name."""
    source, target = arguments
    answer = session.api.post(f"/volumes/{source}/copy", name=target)
    session.out.line((answer or {}).get("Name") or target)


COMMAND = Command(run, arguments="VOLUME NEW_VOLUME", least=2, most=2, complete="volumes")
