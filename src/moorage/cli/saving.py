"""Streams of the daemon into a file or standard output, and files into the daemon."""

from __future__ import annotations

import os

from moorage.cli.failure import CommandError

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
    if os.path.exists(target) and not os.path.isfile(target):
        with open(target, "wb", buffering=0) as device:  # a pipe or device: no rename
            for chunk in response.chunks():
                device.write(chunk)
        return
    temporary = f"{target}.{os.getpid()}.part"
    try:
        with open(temporary, "xb") as file:
            for chunk in response.chunks():
                file.write(chunk)
        os.rename(temporary, target)
    except BaseException:
        if os.path.exists(temporary):
            os.unlink(temporary)
        raise


def file_chunks(source: str) -> Iterator[bytes]:
    """Yield the bytes of a file, of standard input for ``-`` or an empty name."""
    descriptor = 0 if source in {"", "-"} else open_source(source)
    while chunk := os.read(descriptor, CHUNK):
        yield chunk


def open_source(source: str) -> int:
    """Open a file to read.

    Raises: CommandError.
    """
    try:
        return os.open(source, os.O_RDONLY | os.O_CLOEXEC)
    except OSError as e:
        raise CommandError(f"open {source}: {(e.strerror or str(e)).lower()}") from e


def _check_target(target: str, failure: str) -> None:
    folder = os.path.dirname(target) or "."
    if not os.path.isdir(folder):
        reason = f"invalid output path: stat {folder}: no such file or directory"
        raise CommandError(f"{failure}: {reason}")
    if os.path.isdir(target):
        raise CommandError(f"{failure}: cannot write to a directory")
