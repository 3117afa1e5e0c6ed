"""How much a directory holds, counted as ``docker system df`` does: apparent sizes, links once."""

from __future__ import annotations

import os
import stat
from pathlib import Path


def directory_size(path: Path) -> int:
    """Add up the files below *path*; what vanishes meanwhile counts nothing; links not followed."""
    try:
        top = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except FileNotFoundError:
        return 0
    seen: set[tuple[int, int]] = set()
    total = 0
    for _, _, names, directory in os.fwalk(".", dir_fd=top, follow_symlinks=False):
        for name in names:
            try:
                info = os.lstat(name, dir_fd=directory)
            except FileNotFoundError:
                continue
            inode = (info.st_dev, info.st_ino)
            if stat.S_ISDIR(info.st_mode) or (info.st_nlink > 1 and inode in seen):
                continue
            if info.st_nlink > 1:
                seen.add(inode)
            total += info.st_size
    os.close(top)
    return total
