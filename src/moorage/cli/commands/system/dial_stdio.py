"""``moor system dial-stdio``: the far end of an ``ssh://`` host."""

from __future__ import annotations

from moorage.cli.duplex import Duplex
from moorage.cli.options import Command

TYPE_CHECKING = False
if TYPE_CHECKING:
    from moorage.cli.options import Values
    from moorage.cli.session import Session


def run(session: Session, _: Values, __: list[str]) -> None:
    """Carry bytes between standard input and output and the daemon."""
    Duplex(session, session.api.dial(), raw=True, stdin=True).run()


COMMAND = Command(run)
