"""``moor context show``."""

from __future__ import annotations

from moorage.cli.options import Command
from moorage.cli.resolve import context_name

TYPE_CHECKING = False
if TYPE_CHECKING:
    from moorage.cli.options import Values
    from moorage.cli.session import Session


def run(session: Session, _: Values, __: list[str]) -> None:
    """Print the name of the context in force."""
    session.out.line(context_name(session))


COMMAND = Command(run)
