"""Looking into trees by descriptor: what overlay's marks mean, and how large they are."""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Final

from moorage.kernel.openat2 import RESOLVE_BENEATH, RESOLVE_NO_SYMLINKS, openat2
from moorage.storage.archive.entry import OPAQUE_MARKER

_DIRECTORY: Final = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW
_RESOLVE: Final = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS
_LONGEST: Final = 4095  # bytes of a name in a system call, without the byte at its end
_WIDEST: Final = 4  # bytes of a character
OPAQUE: Final = ("trusted.overlay.opaque", "user.fuseoverlayfs.opaque", "user.overlay.opaque")


def open_root(path: Path) -> int:
    """Open a tree of ours."""
    return os.open(path, _DIRECTORY | os.O_CLOEXEC)


def open_below(root: int, relative: str) -> int:
    """Open the directory *relative* below *root* (``""``: itself), through no link.

    Trees may be deeper than one system call's longest name: what is longer is opened in parts.
    Raises: OSError; ELOOP for a link on the way.
    """
    fd = -1
    for part in _parts(relative.rstrip("/") or "."):
        try:
            deeper = openat2(root if fd < 0 else fd, part, _DIRECTORY, resolve=_RESOLVE)
        finally:
            if fd >= 0:
                os.close(fd)
        fd = deeper
    return fd


def _parts(path: str) -> Iterator[str]:
    while len(os.fsencode(path)) > _LONGEST:
        head = path[: _LONGEST // _WIDEST].rpartition("/")[0]
        yield head
        path = path[len(head) + 1 :]
    yield path


def is_whiteout(found: os.stat_result) -> bool:
    """Whether *found* is overlay's mark of a removed name."""
    return stat.S_ISCHR(found.st_mode) and found.st_rdev == 0


def is_opaque(fd: int) -> bool:
    """Whether nothing below shows through the directory *fd*."""
    with suppress(FileNotFoundError):
        os.lstat(OPAQUE_MARKER, dir_fd=fd)
        return True
    try:
        names = os.listxattr(fd)
    except OSError as error:
        if error.errno == errno.ENOTSUP:
            return False
        raise
    return any(key in names and os.getxattr(fd, key) == b"y" for key in OPAQUE)


def entries(fd: int) -> dict[str, os.stat_result]:
    """Return the names in directory *fd* and what they are."""
    found = {}
    for name in os.listdir(fd):
        with suppress(FileNotFoundError):
            found[name] = os.lstat(name, dir_fd=fd)
    return found


def apparent_size(root: Path) -> int:
    """Return the bytes of all files below *root*; a file with several names counts once."""
    total = 0
    seen: set[tuple[int, int]] = set()
    stack = [""]
    with ExitStack() as closing:
        top = open_root(root)
        closing.callback(os.close, top)
        while stack:
            relative = stack.pop()
            try:
                fd = open_below(top, relative)
            except OSError as error:
                if error.errno in {errno.ENOENT, errno.ENOTDIR, errno.ELOOP}:
                    continue  # it went meanwhile
                raise
            try:
                for name, found in entries(fd).items():
                    if stat.S_ISDIR(found.st_mode):
                        stack.append(f"{relative}/{name}" if relative else name)
                    elif stat.S_ISREG(found.st_mode):
                        key = (found.st_dev, found.st_ino)
                        if found.st_nlink == 1 or key not in seen:
                            total += found.st_size
                            seen.add(key)
            finally:
                os.close(fd)
    return total
