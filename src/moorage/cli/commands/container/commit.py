"""``moor commit``."""

from __future__ import annotations

from moorage.cli.options import Command, Option

TYPE_CHECKING = False
if TYPE_CHECKING:
    from moorage.cli.options import Values
    from moorage.cli.session import Session


def run(session: Session, values: Values, arguments: list[str]) -> None:
    """Make an image from a container and print its ID."""
    repository, tag = None, None
    if len(arguments) > 1 and arguments[1]:
        from moorage.cli.references import split_new_tag

        repository, tag = split_new_tag(arguments[1])
    answer = session.api.post(
        "/commit",
        container=arguments[0],
        repo=repository,
        tag=tag or None,
        author=values.text("author") or None,
        comment=values.text("message") or None,
        changes=values.many("change"),
        pause=None if values.flag("pause") else False,
    )
    session.out.line(answer["Id"])


COMMAND = Command(
    run,
    arguments="CONTAINER [REPOSITORY[:TAG]]",
    least=1,
    most=2,
    complete="containers",
    options=(
        Option("author", "a", "string", 'Author (e.g., "Ada Lovelace <ada@example.com>")'),
        Option("change", "c", "list", "Apply a Dockerfile instruction to the image"),
        Option("message", "m", "string", "Commit message"),
        Option("pause", "p", "bool", "Freeze the container meanwhile", True),  # noqa: FBT003
    ),
)
