"""Copying a whole tree of ours: with everything a layer may hold, sharing blocks where it can."""

from __future__ import annotations

import errno
import fcntl
import os
import stat
from pathlib import Path
from typing import Final

from moorage.storage.snapshots.walk import entries, open_root

_FICLONE: Final = 0x40049409
_CREATE: Final = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
_READ: Final = os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC
_DIRECTORY: Final = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_PIECE: Final = 16 << 20


def copy_tree(source: Path, target: Path) -> None:
    """Copy the contents and attributes of directory *source* into the new directory *target*.

    Hard links, holes, devices, times and attributes are kept; blocks are shared (reflink) where
    the file system can. Raises: OSError.
    """
    left, right = open_root(source), open_root(target)
    try:
        _Copy().directory(left, right)
    finally:
        os.close(left)
        os.close(right)


class _Copy:
    """One copy: knows the files with several names, and whether blocks can be shared."""

    def __init__(self) -> None:
        self._links: dict[tuple[int, int], str] = {}
        self._reflink = True
        self._top = -1

    def directory(self, source: int, target: int, path: str = "") -> None:
        if self._top < 0:
            self._top = target
        for name, found in entries(source).items():
            below = f"{path}/{name}" if path else name
            if stat.S_ISDIR(found.st_mode):
                os.mkdir(name, 0o700, dir_fd=target)
                left = os.open(name, _DIRECTORY, dir_fd=source)
                right = os.open(name, _DIRECTORY, dir_fd=target)
                try:
                    self.directory(left, right, below)
                finally:
                    os.close(left)
                    os.close(right)
            elif not self._linked(found, below, name, target):
                self._entry(source, target, name, found)
        _attributes(source, target, os.fstat(source))

    def _linked(self, found: os.stat_result, below: str, name: str, target: int) -> bool:
        if found.st_nlink == 1:
            return False
        first = self._links.setdefault((found.st_dev, found.st_ino), below)
        if first == below:
            return False
        os.link(first, name, src_dir_fd=self._top, dst_dir_fd=target, follow_symlinks=False)
        return True

    def _entry(self, source: int, target: int, name: str, found: os.stat_result) -> None:
        times = (found.st_atime_ns, found.st_mtime_ns)
        if stat.S_ISREG(found.st_mode):
            left = os.open(name, _READ, dir_fd=source)
            right = os.open(name, _CREATE, 0o600, dir_fd=target)
            try:
                self._content(left, right, found)
                _attributes(left, right, found)
            finally:
                os.close(left)
                os.close(right)
            return
        if stat.S_ISLNK(found.st_mode):
            os.symlink(os.readlink(name, dir_fd=source), name, dir_fd=target)
        else:
            os.mknod(name, found.st_mode, found.st_rdev, dir_fd=target)
        os.chown(name, found.st_uid, found.st_gid, dir_fd=target, follow_symlinks=False)
        if not stat.S_ISLNK(found.st_mode):  # nobody else writes into this tree
            os.chmod(name, stat.S_IMODE(found.st_mode), dir_fd=target)
        os.utime(name, ns=times, dir_fd=target, follow_symlinks=False)

    def _content(self, left: int, right: int, found: os.stat_result) -> None:
        if self._reflink and found.st_size:
            try:
                fcntl.ioctl(right, _FICLONE, left)
            except OSError as error:
                if error.errno not in {errno.EOPNOTSUPP, errno.ENOTTY, errno.EXDEV, errno.EINVAL}:
                    raise
                self._reflink = False
            else:
                return
        os.ftruncate(right, found.st_size)
        at = 0
        while at < found.st_size:
            try:
                start = os.lseek(left, at, os.SEEK_DATA)
            except OSError as error:
                if error.errno == errno.ENXIO:  # only a hole is left
                    return
                raise
            end = os.lseek(left, start, os.SEEK_HOLE)
            while start < end:
                start += os.copy_file_range(left, right, min(_PIECE, end - start), start, start)
            at = end


def _attributes(source: int, target: int, found: os.stat_result) -> None:
    os.fchown(target, found.st_uid, found.st_gid)
    os.fchmod(target, stat.S_IMODE(found.st_mode))
    for key in os.listxattr(source):
        os.setxattr(target, key, os.getxattr(source, key))
    os.utime(target, ns=(found.st_atime_ns, found.st_mtime_ns))
