"""``moor push``."""

from __future__ import annotations

from moorage.cli.failure import CommandError
from moorage.cli.options import Command, Option
from moorage.cli.progress import Display
from moorage.cli.references import DEFAULT_TAG, check, platform_json, split_tag
from moorage.cli.refusals import NO_TRUST, refuse_trust

TYPE_CHECKING = False
if TYPE_CHECKING:
    from moorage.cli.options import Values
    from moorage.cli.session import Session


def run(session: Session, values: Values, arguments: list[str]) -> None:
    """Upload an image, or all its tags."""
    from moorage.cli.authorising import auth_header
    from moorage.cli.commands.image.pull import full_name

    refuse_trust(session, values)
    check(arguments[0])
    if "@" in arguments[0]:
        raise CommandError("cannot push a digest reference")
    repository, tag = split_tag(arguments[0])
    every, quiet = values.flag("all-tags"), values.flag("quiet")
    if every and tag:
        raise CommandError("tag can't be used with --all-tags/-a")
    if not every and not tag and not quiet:
        session.out.line(f"Using default tag: {DEFAULT_TAG}")
    response = session.api.request(
        "POST",
        f"/images/{repository}/push",
        {
            "tag": None if every else tag or DEFAULT_TAG,
            "platform": platform_json(values.text("platform")),
        },
        headers=auth_header(session, repository),
    )
    messages = session.api.stream_json(response)
    Display(None if quiet else session.out).run(messages)
    if quiet:
        session.out.line(full_name(repository, "" if every else tag or DEFAULT_TAG))


COMMAND = Command(
    run,
    arguments="NAME[:TAG]",
    least=1,
    most=1,
    complete="images",
    options=(
        Option("all-tags", "a", "bool", "Upload all tags of the repository"),
        NO_TRUST,
        Option("platform", "", "string", "Push only this platform, such as linux/arm64"),
        Option("quiet", "q", "bool", "Print the name only"),
    ),
)
