"""``moor create``."""

from __future__ import annotations

from moorage.cli.commands.container import create_body, creating
from moorage.cli.commands.container.create_options import OPTIONS
from moorage.cli.options import Command
from moorage.cli.refusals import refuse_windows

TYPE_CHECKING = False
if TYPE_CHECKING:
    from moorage.cli.options import Values
    from moorage.cli.session import Session


def run(session: Session, values: Values, arguments: list[str]) -> None:
    """Make a container and print its ID."""
    refuse_windows(values)
    request = create_body.build(session, values, arguments, detach=False)
    session.out.line(creating.create(session, values, request))


COMMAND = Command(
    run,
    arguments="IMAGE [COMMAND] [ARG...]",
    least=1,
    most=None,
    interspersed=False,
    complete="images",
    options=OPTIONS,
)
