"""``moor cp``."""

from __future__ import annotations

from moorage.cli.copying import places
from moorage.cli.failure import CommandError
from moorage.cli.options import Command, Option
from moorage.client import files
from moorage.lib import units

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from moorage.cli.options import Values
    from moorage.cli.session import Session

TAR = {"Content-Type": "application/x-tar"}


def run(session: Session, values: Values, arguments: list[str]) -> None:
    """Copy out of a container or into one; ``-`` is a tar archive on the standard streams."""
    source, target = (places.split(argument) for argument in arguments)
    if "" in arguments:
        raise CommandError("source and destination can not be empty")
    if source[0] and target[0]:
        raise CommandError("copying between containers is not supported")
    if source[0]:
        size = _from_container(session, values, source, target[1])
    elif target[0]:
        size = _to_container(session, values, source[1], target)
    else:
        raise CommandError("must specify at least one container source")
    if size is not None and session.err.is_terminal and not values.flag("quiet"):
        where = arguments[1] if source[0] else f"{target[0]}:{target[1]}"
        session.err.line(f"Successfully copied {units.human_size(size, precision=3)} to {where}")


def _from_container(
    session: Session, values: Values, source: tuple[str, str], target: str
) -> int | None:
    container, path = source
    name = files.base(path)
    if values.flag("follow-link"):
        path = places.follow_remote(
            session.api, container, places.remote(session.api, container, path)
        ).path
    query: dict[str, object] = {"path": path}
    response = session.api.request("GET", f"/containers/{container}/archive", query)
    if target == "-":
        if session.out.is_terminal:
            raise CommandError("cowardly refusing to copy to a terminal: redirect the output")
        for chunk in response.chunks():
            session.out.write_bytes(chunk)
        return None
    from moorage.cli.copying.unpack import unpack

    found = places.Place(path, exists=True, is_directory=_is_directory(response.headers))
    there = places.local(target, follow=True)
    directory, new_name = places.destination(found, there)
    if there.exists and there.is_directory and not found.contents_only:
        new_name = name if name not in {"", "/"} else "."
    if not files.is_directory(directory):
        raise CommandError(
            f'invalid output path: directory "{_absolute(directory)}" does not exist'
        )
    unnamed = new_name == "." or found.base in {"", ".", "/"}
    renamed = None if unnamed else (found.base, new_name)
    chunks = response.chunks()
    if found.contents_only:
        # entries of "dir/." are named after the directory they go to, or not at all
        renamed = None
        if new_name != ".":
            directory = f"{directory}/{new_name}"
            files.make_directories(directory, 0o777)
    return unpack(chunks, directory, renamed)


def _is_directory(headers: dict[str, str]) -> bool:
    from binascii import a2b_base64

    from moorage.client import jsonwire

    described = jsonwire.decode(a2b_base64(headers.get("x-docker-container-path-stat", "")))
    return bool(described["mode"] & places.GO_DIRECTORY)


def _to_container(
    session: Session, values: Values, source: str, target: tuple[str, str]
) -> int | None:
    container, path = target
    there = places.remote(session.api, container, path)
    there = places.follow_remote(session.api, container, there)
    query: dict[str, object] = {
        "path": there.path,
        "noOverwriteDirNonDir": True,
        "copyUIDGID": values.flag("archive") or None,
    }
    counter = _Counter()
    if source == "-":
        if not there.is_directory:
            raise CommandError(f'destination "{container}:{path}" must be a directory')
        from moorage.cli.saving import file_chunks

        body = file_chunks("-")
    else:
        from moorage.cli.copying.pack import pack

        follow = values.flag("follow-link")
        here = places.local(source, follow=follow)
        if not here.exists:
            raise CommandError(f"lstat {_absolute(source)}: no such file or directory")
        query["path"], name = places.destination(here, there)
        real = _real(source) if follow or here.wants_directory else source
        body = counter.count(pack(real, name))
    response = session.api.request(
        "PUT", f"/containers/{container}/archive", query, body=body, headers=TAR
    )
    response.read()
    return counter.size


def _absolute(path: str) -> str:
    import os

    return os.path.abspath(path)


def _real(path: str) -> str:
    import os

    return os.path.realpath(path)


class _Counter:
    """Count what goes by."""

    def __init__(self) -> None:
        self.size = 0

    def count(self, chunks: Iterator[bytes]) -> Iterator[bytes]:
        for chunk in chunks:
            self.size += len(chunk)
            yield chunk


COMMAND = Command(
    run,
    arguments="CONTAINER:SRC_PATH DEST_PATH|-\n\tmoor cp [OPTIONS] SRC_PATH|- CONTAINER:DEST_PATH",
    least=2,
    most=2,
    complete="containers files",
    details="With '-' as the source, a tar archive is read from standard input and unpacked into\n"
    "a directory of the container; as the destination, it is written to standard output.",
    options=(
        Option("archive", "a", "bool", "Keep owners and groups"),
        Option("follow-link", "L", "bool", "Follow a symbolic link in SRC_PATH"),
        Option("quiet", "q", "bool", "Do not say what was copied"),
    ),
)
