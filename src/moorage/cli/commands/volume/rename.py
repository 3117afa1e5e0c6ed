"""``moor volume rename``."""

from __future__ import annotations

from moorage.cli.options import Command

TYPE_CHECKING = False
if TYPE_CHECKING:
    from moorage.cli.options import Values
    from moorage.cli.session import Session


def run(session: Session, _: Values, arguments: list[str]) -> None:
    """Give a volume that no container uses another name."""
    old, new = arguments
    session.api.post(f"/volumes/{old}/rename", name=new)


COMMAND = Command(run, arguments="VOLUME NEW_NAME", least=2, most=2, complete="volumes")
