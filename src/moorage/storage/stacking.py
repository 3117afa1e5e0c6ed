"""What a layer's archive left to its parents: the looks of directories that it only implies.

A driver whose layers are whole trees has these directories already, but what was made in them
moved their times.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Sequence
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Final

from moorage.kernel.openat2 import RESOLVE_BENEATH, RESOLVE_NO_SYMLINKS, openat2
from moorage.storage.snapshots.walk import open_root

_HERE: Final = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS
_HIDDEN: Final = frozenset({errno.ENOTDIR, errno.ELOOP})  # a file, a whiteout or a link is there


def inherit(tree: Path, parents: Sequence[Path], implied: Sequence[str]) -> None:
    """Give the *implied* directories of *tree* owner, mode, time and attributes of what they cover.

    *parents* are the trees below, topmost first. Where none has the directory it stays as made.
    """
    if not parents or not implied:
        return
    with ExitStack() as closing:
        roots = []
        for path in (tree, *parents):
            fd = open_root(path)
            closing.callback(os.close, fd)
            roots.append(fd)
        for name in implied:
            covered = _find(roots[1:], name)
            if covered is None:
                continue
            try:
                _inherit_one(roots[0], name, covered)
            finally:
                os.close(covered)


def _inherit_one(root: int, name: str, covered: int) -> None:
    with suppress(FileNotFoundError):
        fd = openat2(root, name or ".", os.O_RDONLY | os.O_DIRECTORY, resolve=_HERE)
        try:
            _look_like(fd, covered)
        finally:
            os.close(fd)


def _look_like(fd: int, covered: int) -> None:
    status = os.fstat(covered)
    os.fchown(fd, status.st_uid, status.st_gid)
    os.fchmod(fd, stat.S_IMODE(status.st_mode))
    for name in os.listxattr(covered):
        if not name.startswith("trusted.overlay."):
            os.setxattr(fd, name, os.getxattr(covered, name))
    os.utime(fd, ns=(status.st_atime_ns, status.st_mtime_ns))


def _find(roots: Sequence[int], name: str) -> int | None:
    """Open the topmost directory *name*; None if it is hidden by something else before."""
    for root in roots:
        try:
            return openat2(root, name or ".", os.O_RDONLY | os.O_DIRECTORY, resolve=_HERE)
        except FileNotFoundError:
            continue
        except OSError as error:
            if error.errno in _HIDDEN:
                return None
            raise
    return None
