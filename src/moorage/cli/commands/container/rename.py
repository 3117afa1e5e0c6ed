"""``moor rename``."""

from __future__ import annotations

from moorage.cli.failure import CommandError
from moorage.cli.options import Command
from moorage.lib.errors import MoorageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from moorage.cli.options import Values
    from moorage.cli.session import Session


def run(session: Session, _: Values, arguments: list[str]) -> None:
    """Give a container another name."""
    old, new = (argument.strip() for argument in arguments)
    if not old or not new:
        raise CommandError("Error: Neither old nor new names may be empty")
    try:
        session.api.post(f"/containers/{old}/rename", name=new)
    except MoorageError as e:
        raise CommandError(f"{e}\nError: failed to rename container named {old}") from e


COMMAND = Command(run, arguments="CONTAINER NEW_NAME", least=2, most=2, complete="containers")
