"""``moor diff``."""

from __future__ import annotations

from moorage.cli.options import Command

TYPE_CHECKING = False
if TYPE_CHECKING:
    from moorage.cli.options import Values
    from moorage.cli.session import Session

LETTERS = "CAD"


def run(session: Session, _: Values, arguments: list[str]) -> None:
    """Print changed, added and deleted files."""
    for change in session.api.get(f"/containers/{arguments[0]}/changes") or ():
        session.out.line(f"{LETTERS[change['Kind']]} {change['Path']}")


COMMAND = Command(run, arguments="CONTAINER", least=1, most=1, complete="containers")
