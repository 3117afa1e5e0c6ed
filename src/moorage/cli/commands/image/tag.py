"""``moor tag``."""

from __future__ import annotations

from moorage.cli.failure import CommandError
from moorage.cli.options import Command
from moorage.cli.references import split_new_tag
from moorage.lib.errors import InvalidParameter

TYPE_CHECKING = False
if TYPE_CHECKING:
    from moorage.cli.options import Values
    from moorage.cli.session import Session


def run(session: Session, _: Values, arguments: list[str]) -> None:
    """Give an image another name."""
    source, target = arguments
    try:
        repository, tag = split_new_tag(target)
    except InvalidParameter as e:
        if "digest reference" in str(e):
            raise
        reason = f'Error parsing reference: "{target}" is not a valid repository/tag: {e}'
        raise CommandError(reason) from e
    session.api.post(f"/images/{source}/tag", repo=repository, tag=tag or None)


COMMAND = Command(
    run,
    arguments="SOURCE_IMAGE[:TAG] TARGET_IMAGE[:TAG]",
    least=2,
    most=2,
    interspersed=False,
    complete="images",
)
