"""Removing a tree that somebody else made: nothing is followed, and no depth is too deep.

Descriptors lead the way, so a name swapped for a symlink meanwhile is not followed. Below a depth
that costs few descriptors, directories are moved up to the top before they are emptied: a container
can nest them by the ten thousand.
"""

from __future__ import annotations

import errno
import os
import stat
from contextlib import suppress
from typing import Final

from moorage.lib import ids

_DEPTH: Final = 64
_DIRECTORY: Final = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


def remove(parent: int, name: str) -> bool:
    """Remove *name* in directory *parent* and all below it; others may do so at the same time.

    Returns: whether it was a directory or a link, so that names resolved through it are void.
    Raises: OSError (FileNotFoundError: *name* itself is gone; EBUSY: something is mounted there).
    """
    mode = os.lstat(name, dir_fd=parent).st_mode
    if not stat.S_ISDIR(mode):
        os.unlink(name, dir_fd=parent)
        return stat.S_ISLNK(mode)
    top = os.open(name, _DIRECTORY, dir_fd=parent)
    try:
        while True:  # what lay too deep comes up meanwhile, and somebody may add a file
            for child in os.listdir(top):
                with suppress(FileNotFoundError):  # somebody else was quicker
                    _remove_entry(top, child, top, _DEPTH)
            try:
                os.rmdir(name, dir_fd=parent)
            except OSError as error:
                if error.errno != errno.ENOTEMPTY or not _is_still(top, parent, name):
                    raise
            else:
                return True
    finally:
        os.close(top)


def _is_still(directory: int, parent: int, name: str) -> bool:
    return os.path.samestat(os.fstat(directory), os.lstat(name, dir_fd=parent))


def _remove_entry(parent: int, name: str, top: int, depth: int) -> None:
    """Remove *name* and what is below it, or move it up to *top*.

    Raises: OSError (FileNotFoundError: *name* is gone, not only something below it).
    """
    try:
        os.unlink(name, dir_fd=parent)
    except IsADirectoryError:
        if depth == 0:
            os.rename(name, f".{ids.token()}", src_dir_fd=parent, dst_dir_fd=top)
            return
        fd = os.open(name, _DIRECTORY, dir_fd=parent)
        try:
            for child in os.listdir(fd):
                with suppress(FileNotFoundError):
                    _remove_entry(fd, child, top, depth - 1)
        finally:
            os.close(fd)
        try:
            os.rmdir(name, dir_fd=parent)
        except OSError as error:
            if error.errno != errno.ENOTEMPTY:  # else somebody has put a file there: next round
                raise
