"""Pull an image: for ``pull`` itself, and for ``run`` and ``create`` that miss one."""

from __future__ import annotations

from moorage.cli.progress import Display
from moorage.cli.references import DEFAULT_TAG, split_tag

TYPE_CHECKING = False
if TYPE_CHECKING:
    from moorage.cli.output import Output
    from moorage.cli.session import Session


def pull(
    session: Session,
    name: str,
    *,
    platform: str | None,
    output: Output | None,
    all_tags: bool = False,
) -> None:
    """Pull *name*, drawing progress on *output*.

    Raises: CommandError, MoorageError.
    """
    from moorage.cli.authorising import auth_header

    repository, tag = split_tag(name)
    response = session.api.request(
        "POST",
        "/images/create",
        {
            "fromImage": repository,
            "tag": None if all_tags else tag or DEFAULT_TAG,
            "platform": platform,
        },
        headers=auth_header(session, repository),
    )
    Display(output).run(session.api.stream_json(response))
