"""Mount targets that a root file system lacks.

They are made in a layer of their own below the writable one, so they are no part of the step's
changes, and nothing has to be cleaned up afterwards inside a root that the command has owned
(CVE-2024-23652). Links on the way are followed inside the root only.
"""

from __future__ import annotations

import os
import posixpath
import stat
from collections.abc import Callable, Iterable
from typing import Final

from msgspec import Struct

from moorage.kernel.openat2 import openat2
from moorage.lib.errors import InvalidParameter
from moorage.storage.archive.rooted import Rooted
from moorage.storage.initfiles import above

_MAX_LINKS: Final = 40
_NEW: Final = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC


class Target(Struct, frozen=True):
    """A place where something will be mounted."""

    path: str
    is_directory: bool


def maker(targets: Iterable[Target]) -> Callable[[int, int], list[str]] | None:
    """Return what makes *targets* (``storage.writable.Stubs``); None if there are none."""
    wanted = tuple(targets)
    if not wanted:
        return None

    def make(target_fd: int, seen_fd: int) -> list[str]:
        rooted = Rooted(target_fd)
        try:
            made = [place for t in wanted if (place := _make(rooted, seen_fd, t)) is not None]
        finally:
            rooted.forget()
        return sorted({directory for place in made for directory in above(place)})

    return make


def _make(rooted: Rooted, seen_fd: int, target: Target) -> str | None:
    """Make one; return where, None if it is there already."""
    place = resolve(seen_fd, target.path)
    existing = _status(seen_fd, place)
    if existing is not None:
        if stat.S_ISDIR(existing.st_mode) is not target.is_directory:
            kind = "a directory" if target.is_directory else "a file"
            raise InvalidParameter(f"mount target {target.path} is not {kind} in the image")
        return None
    if target.is_directory:
        rooted.directory(place)
        return place
    directory, _, last = place.rpartition("/")
    try:
        fd = os.open(last, _NEW, 0o644, dir_fd=rooted.directory(directory))
    except FileExistsError:
        return None
    os.close(fd)
    return place


def resolve(root_fd: int, path: str) -> str:
    """Return *path* below the root with all links followed; what does not exist is kept as it is.

    Raises: InvalidParameter (a loop of links, a file where a directory is needed).
    """
    done = ""
    rest = [part for part in path.split("/") if part]
    links = 0
    while rest:
        part = rest.pop(0)
        if part in {".", ".."}:
            done = posixpath.dirname(done) if part == ".." else done
            continue
        here = f"{done}/{part}" if done else part
        status = _status(root_fd, here)
        if status is None or not stat.S_ISLNK(status.st_mode):
            if status is not None and rest and not stat.S_ISDIR(status.st_mode):
                raise InvalidParameter(f"cannot reach {path}: /{here} is not a directory")
            done = here
            continue
        links += 1
        if links > _MAX_LINKS:
            raise InvalidParameter(f"cannot reach {path}: too many links")
        link = _read_link(root_fd, here)
        if link.startswith("/"):
            done = ""
        rest = [p for p in link.split("/") if p] + rest
    return done


def _status(root_fd: int, path: str) -> os.stat_result | None:
    try:
        fd = openat2(root_fd, path or ".", os.O_PATH | os.O_NOFOLLOW)
    except (FileNotFoundError, NotADirectoryError):
        return None
    try:
        return os.fstat(fd)
    finally:
        os.close(fd)


def _read_link(root_fd: int, path: str) -> str:
    fd = openat2(root_fd, path, os.O_PATH | os.O_NOFOLLOW)
    try:
        return os.readlink("", dir_fd=fd)
    finally:
        os.close(fd)
