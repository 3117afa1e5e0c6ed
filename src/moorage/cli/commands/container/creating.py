"""Ask the daemon for a container, pulling the image first where that is needed."""

from __future__ import annotations

import posix

from moorage.cli.failure import CommandError
from moorage.cli.refusals import refuse_trust
from moorage.lib.errors import InvalidParameter, NotFound

TYPE_CHECKING = False
if TYPE_CHECKING:
    from moorage.cli.commands.container.create_body import Request
    from moorage.cli.options import Values
    from moorage.cli.session import Session

PULL_POLICIES = ("always", "missing", "never")


def create(session: Session, values: Values, request: Request) -> str:
    """Create the container and return its ID.

    Raises: MoorageError, CommandError.
    """
    policy = values.text("pull") or "missing"
    if policy not in PULL_POLICIES:
        raise CommandError(
            f'invalid pull option: \'{policy}\': must be one of "always", "missing" or "never"'
        )
    if "@" not in request.body["Image"]:
        refuse_trust(session, values)
    cidfile = _open_cidfile(values.text("cidfile"))
    identifier = ""
    try:
        identifier = _create(session, values, request, policy)
        for network, endpoint in request.later_networks:
            session.api.post(
                f"/networks/{network}/connect",
                {"Container": identifier, "EndpointConfig": endpoint},
            )
    finally:
        if cidfile is not None:
            posix.write(cidfile, identifier.encode())
            posix.close(cidfile)
            if not identifier:
                posix.unlink(values.text("cidfile"))
    return identifier


def _create(session: Session, values: Values, request: Request, policy: str) -> str:
    image = request.body["Image"]
    if not image:
        raise CommandError("invalid reference format")
    platform = values.text("platform") or session.environ.get("DOCKER_DEFAULT_PLATFORM") or None
    query = {"name": values.text("name") or None, "platform": platform}
    if policy == "always":
        _pull(session, values, image, platform)
    try:
        answer = session.api.post("/containers/create", request.body, **query)
    except InvalidParameter as e:
        if "invalid reference format" in str(e):
            from moorage.cli.references import check

            check(image)  # what is wrong with a name is no word of the daemon's
        raise
    except NotFound as e:
        absent = ("No such image", "does not provide the specified platform")
        if policy != "missing" or not any(sentence in str(e) for sentence in absent):
            raise
        from moorage.cli.references import check, familiar

        check(image)
        if not values.flag("quiet"):
            session.err.line(f"Unable to find image '{familiar(image)}' locally")
        _pull(session, values, image, platform)
        answer = session.api.post("/containers/create", request.body, **query)
    for warning in answer.get("Warnings") or ():
        session.err.line(f"WARNING: {warning}")
    return str(answer["Id"])


def _pull(session: Session, values: Values, image: str, platform: str | None) -> None:
    """Pull with progress on standard error, which the container's output leaves alone."""
    from moorage.cli import pulling

    output = None if values.flag("quiet") else session.err
    pulling.pull(session, image, platform=platform, output=output)


def _open_cidfile(path: str) -> int | None:
    if not path:
        return None
    flags = posix.O_WRONLY | posix.O_CREAT | posix.O_EXCL | posix.O_CLOEXEC
    try:
        return posix.open(path, flags, 0o644)
    except FileExistsError as e:
        raise CommandError(
            f"container ID file found, make sure the other container isn't running or delete {path}"
        ) from e
    except OSError as e:
        raise CommandError(f"failed to create the container ID file: {path}: {e.strerror}") from e
