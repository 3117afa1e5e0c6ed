"""Mount targets that a root file system lacks.

They are made where they are no part of the step's changes, below the writable layer, so nothing
has to be cleaned up afterwards inside a root that the command has owned (CVE-2024-23652). Links on
the way are followed inside the root only; a directory that is already there keeps its looks.
"""

from __future__ import annotations

import os
import posixpath
import stat
from collections.abc import Callable, Iterable
from contextlib import suppress
from pathlib import Path
from typing import Final

from msgspec import Struct

from moorage.kernel.openat2 import openat2
from moorage.lib.errors import InvalidParameter

_MAX_LINKS: Final = 40


class Target(Struct, frozen=True):
    """A place where something will be mounted."""

    path: str
    is_directory: bool


def maker(targets: Iterable[Target]) -> Callable[[Path], None]:
    """Return what makes *targets* below a root."""
    wanted = tuple(targets)

    def make(root: Path) -> None:
        root_fd = os.open(root, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            for target in wanted:
                ensure(root_fd, target)
        finally:
            os.close(root_fd)

    return make


def ensure(root_fd: int, target: Target) -> None:
    """Make *target* unless it is there.

    Raises: InvalidParameter (a file where a directory is needed).
    """
    path = posixpath.normpath(posixpath.join("/", target.path))
    for _ in range(_MAX_LINKS):
        parent_path, name = posixpath.split(path)
        parent = _directory(root_fd, parent_path)
        try:
            link = _make(parent, name, target)
        finally:
            os.close(parent)
        if link is None:
            return
        path = posixpath.normpath(posixpath.join(parent_path, link))
    raise InvalidParameter(f"too many links on the way to the mount target {target.path}")


def _make(parent: int, name: str, target: Target) -> str | None:
    """Make the last part; return the link to follow if it is one."""
    try:
        status = os.lstat(name, dir_fd=parent)
    except FileNotFoundError:
        if target.is_directory:
            os.mkdir(name, 0o755, dir_fd=parent)
        else:
            flags = os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_CLOEXEC
            os.close(os.open(name, flags, 0o644, dir_fd=parent))
        return None
    if stat.S_ISLNK(status.st_mode):
        return os.readlink(name, dir_fd=parent)
    if stat.S_ISDIR(status.st_mode) is not target.is_directory:
        kind = "a directory" if target.is_directory else "a file"
        raise InvalidParameter(f"mount target {target.path} is not {kind} in the image")
    return None


def _directory(root_fd: int, path: str) -> int:
    """Open *path* below the root, made where it is missing."""
    flags = os.O_RDONLY | os.O_DIRECTORY
    with suppress(FileNotFoundError):
        return openat2(root_fd, path.lstrip("/") or ".", flags)
    parent_path, name = posixpath.split(path)
    ensure(root_fd, Target(posixpath.join(parent_path, name), is_directory=True))
    return openat2(root_fd, path.lstrip("/"), flags)
