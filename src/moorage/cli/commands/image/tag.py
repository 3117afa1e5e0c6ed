"""``moor tag``."""

from __future__ import annotations

from moorage.cli.options import Command
from moorage.cli.references import split_tag

TYPE_CHECKING = False
if TYPE_CHECKING:
    from moorage.cli.options import Values
    from moorage.cli.session import Session


def run(session: Session, _: Values, arguments: list[str]) -> None:
    """Give an image another name."""
    source, target = arguments
    repository, tag = split_tag(target)
    session.api.post(f"/images/{source}/tag", repo=repository, tag=tag or None)


COMMAND = Command(
    run,
    arguments="SOURCE_IMAGE[:TAG] TARGET_IMAGE[:TAG]",
    least=2,
    most=2,
    complete="images",
)
