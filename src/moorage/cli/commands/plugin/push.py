"""``moor plugin push``."""

from __future__ import annotations

from moorage.cli.options import Command
from moorage.cli.progress import Display
from moorage.cli.references import DEFAULT_TAG, check, split_tag
from moorage.cli.refusals import NO_TRUST, refuse_trust

TYPE_CHECKING = False
if TYPE_CHECKING:
    from moorage.cli.options import Values
    from moorage.cli.session import Session


def run(session: Session, values: Values, names: list[str]) -> None:
    """Upload a plugin to a registry."""
    from moorage.cli.authorising import auth_header

    refuse_trust(session, values)
    check(names[0])
    repository, tag = split_tag(names[0])
    response = session.api.request(
        "POST",
        f"/plugins/{repository}:{tag or DEFAULT_TAG}/push",
        headers=auth_header(session, repository),
    )
    Display(session.out).run(session.api.stream_json(response))


COMMAND = Command(
    run,
    arguments="PLUGIN[:TAG]",
    least=1,
    most=1,
    complete="plugins",
    options=(NO_TRUST,),
)
