"""What a layer's archive left to its parents: the looks of directories that it only implies."""

from __future__ import annotations

import os
import stat
from collections.abc import Sequence
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Final

from moorage.kernel.openat2 import RESOLVE_BENEATH, RESOLVE_NO_SYMLINKS, openat2
from moorage.storage.snapshots.walk import open_root

_HERE: Final = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS


def inherit(tree: Path, parents: Sequence[Path], implied: Sequence[str]) -> None:
    """Give the *implied* directories of *tree* owner, mode and time of those they cover.

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
            found = _find(roots[1:], name)
            if found is None:
                continue
            with suppress(FileNotFoundError):
                fd = openat2(roots[0], name or ".", os.O_RDONLY | os.O_DIRECTORY, resolve=_HERE)
                try:
                    os.fchown(fd, found.st_uid, found.st_gid)
                    os.fchmod(fd, stat.S_IMODE(found.st_mode))
                    os.utime(fd, ns=(found.st_atime_ns, found.st_mtime_ns))
                finally:
                    os.close(fd)


def _find(roots: Sequence[int], name: str) -> os.stat_result | None:
    """Return the topmost directory *name*; None if it is hidden by something else before."""
    for root in roots:
        try:
            fd = openat2(root, name or ".", os.O_PATH | os.O_NOFOLLOW, resolve=_HERE)
        except OSError:
            continue
        try:
            found = os.stat(fd)
        finally:
            os.close(fd)
        return found if stat.S_ISDIR(found.st_mode) else None
    return None
