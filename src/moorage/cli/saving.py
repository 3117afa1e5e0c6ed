"""Streams of the daemon into a file or standard output, and files into the daemon."""

from __future__ import annotations

import posix

from moorage.cli.failure import CommandError
from moorage.client import files

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from moorage.cli.session import Session

CHUNK = 1 << 20


def save_body(
    session: Session, path: str, query: dict[str, object], target: str, failure: str
) -> None:
    """Write the body of a GET to the file *target*, or to standard output if it is empty.

    *failure* begins the message about a target that cannot be written. A file appears whole or not
    at all: an archive cut short never has the final name.
    """
    if not target and session.out.is_terminal:
        raise CommandError("cowardly refusing to save to a terminal. Use the -o flag or redirect")
    if target:
        _check_target(target, failure)
    response = session.api.request("GET", path, query)
    if not target:
        for chunk in response.chunks():
            session.out.write_bytes(chunk)
        return
    if files.exists(target) and not files.is_file(target):
        with open(target, "wb", buffering=0) as device:  # a pipe or device: no rename
            for chunk in response.chunks():
                device.write(chunk)
        return
    temporary = f"{target}.{posix.getpid()}.part"
    try:
        with open(temporary, "xb") as file:
            for chunk in response.chunks():
                file.write(chunk)
        posix.rename(temporary, target)
    except BaseException:
        if files.exists(temporary):
            posix.unlink(temporary)
        raise


def file_chunks(source: str) -> Iterator[bytes]:
    """Yield the bytes of a file, of standard input for ``-`` or an empty name."""
    descriptor = 0 if source in {"", "-"} else open_source(source)
    while chunk := posix.read(descriptor, CHUNK):
        yield chunk


def open_source(source: str) -> int:
    """Open a file to read.

    Raises: CommandError.
    """
    try:
        return posix.open(source, posix.O_RDONLY | posix.O_CLOEXEC)
    except OSError as e:
        raise CommandError(f"open {source}: {(e.strerror or str(e)).lower()}") from e


def _check_target(target: str, failure: str) -> None:
    folder, slash, _ = target.rpartition("/")
    folder = folder.rstrip("/") or slash or "."
    if not files.is_directory(folder):
        reason = f"invalid output path: stat {folder}: no such file or directory"
        raise CommandError(f"{failure}: {reason}")
    if files.is_directory(target):
        raise CommandError(f"{failure}: cannot write to a directory")
