"""``moor pull``."""

from __future__ import annotations

from moorage.cli.failure import CommandError
from moorage.cli.options import Command, Option
from moorage.cli.pulling import pull
from moorage.cli.references import DEFAULT_TAG, check, split_tag
from moorage.cli.refusals import NO_TRUST, refuse_trust

TYPE_CHECKING = False
if TYPE_CHECKING:
    from moorage.cli.options import Values
    from moorage.cli.session import Session


def run(session: Session, values: Values, arguments: list[str]) -> None:
    """Download an image, or all tags of a repository."""
    name = arguments[0]
    repository, tag = split_tag(name)
    refuse_trust(session, values)
    every, quiet = values.flag("all-tags"), values.flag("quiet")
    if every and tag:
        raise CommandError("tag can't be used with --all-tags/-a")
    check(name)
    if not every and not tag and not quiet:
        session.out.line(f"Using default tag: {DEFAULT_TAG}")
    platform = values.text("platform") or session.environ.get("DOCKER_DEFAULT_PLATFORM")
    pull(
        session,
        name,
        platform=platform or None,
        output=None if quiet else session.out,
        all_tags=every,
    )
    session.out.line(full_name(repository, "" if every else tag or DEFAULT_TAG))


def full_name(repository: str, tag: str) -> str:
    """Return the name with its registry, as docker ends a pull."""
    first, slash, _ = repository.partition("/")
    if not slash:
        repository = f"docker.io/library/{repository}"
    elif not ("." in first or ":" in first or first == "localhost"):
        repository = f"docker.io/{repository}"
    separator = "@" if tag.startswith("sha256:") else ":"
    return f"{repository}{separator}{tag}" if tag else repository


COMMAND = Command(
    run,
    arguments="NAME[:TAG|@DIGEST]",
    least=1,
    most=1,
    complete="images",
    options=(
        Option("all-tags", "a", "bool", "Download all tags of the repository"),
        NO_TRUST,
        Option("platform", "", "string", "Platform of the image, such as linux/arm64"),
        Option("quiet", "q", "bool", "Print the name only"),
    ),
)
