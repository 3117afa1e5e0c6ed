"""The files that every container's root needs under its mounts, in a layer below its own.

They stand in a layer between image and container, so that ``diff`` and ``commit`` do not show
them. What the image has is left alone.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Final

from moorage.kernel.openat2 import RESOLVE_BENEATH, RESOLVE_NO_SYMLINKS, openat2
from moorage.storage.archive.rooted import Rooted

_DIRECTORIES: Final = ("dev/pts", "dev/shm", "proc", "sys")
_FILES: Final = ("etc/resolv.conf", "etc/hosts", "etc/hostname", "dev/console", ".dockerenv")
_LINKS: Final = (("etc/mtab", "/proc/mounts"),)
_PLAIN: Final = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS
_NEW: Final = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC


def write(target_fd: int, seen_fd: int) -> list[str]:
    """Make below *target_fd* what the root *seen_fd* (which may be the same) does not have.

    Where the image has a link on the way the entry is left out: the runtime deals with it.
    Returns: the directories that something was made in, and those above them.
    """
    grown: set[str] = set()
    rooted = Rooted(target_fd)
    try:
        for name in _DIRECTORIES:
            if _is_missing(seen_fd, name):
                rooted.directory(name)
                grown.update(above(name))
        for name in _FILES:
            if _is_missing(seen_fd, name):
                directory, _, last = name.rpartition("/")
                fd = os.open(last, _NEW, 0o755, dir_fd=rooted.directory(directory))
                os.fchmod(fd, 0o755)
                os.close(fd)
                grown.update(above(name))
        for name, target in _LINKS:
            if _is_missing(seen_fd, name):
                directory, _, last = name.rpartition("/")
                os.symlink(target, last, dir_fd=rooted.directory(directory))
                grown.update(above(name))
    finally:
        rooted.forget()
    return sorted(grown)


def above(name: str) -> Iterator[str]:
    """Return the directories that *name* is in, up to the root."""
    while name:
        name = name.rpartition("/")[0]
        yield name


def _is_missing(root_fd: int, name: str) -> bool:
    """Whether *name* is not there, and could be made without passing a link or a file."""
    try:
        os.close(openat2(root_fd, name, os.O_PATH | os.O_NOFOLLOW, resolve=_PLAIN))
    except FileNotFoundError:
        return True
    except OSError:
        return False
    return False
