"""Copy a tree of files by descriptors, with everything a container can see of it.

Owner, mode, times, xattrs (and through them ACLs and capabilities), hard links inside the tree,
devices, fifos and holes are kept. No link is ever followed and no path is walked twice: each entry
is opened under its parent's descriptor with O_NOFOLLOW, so a tree that changes meanwhile can spoil
its own copy but not lead out of it (CVE-2020-1726, CVE-2023-0778).
"""

from __future__ import annotations

import errno
import fcntl
import os
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from moorage.kernel import openat2

Owners = Callable[[int, int], tuple[int, int]]
_DIRECTORY: Final = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_FICLONE: Final = 0x40049409  # linux/fs.h
_CHUNK: Final = 1 << 24
_NO_SUPPORT: Final = frozenset(
    {errno.EOPNOTSUPP, errno.ENOTTY, errno.EXDEV, errno.EINVAL, errno.EPERM, errno.ENOSYS}
)


def copy_tree(source: int, target: int, owners: Owners | None = None) -> None:
    """Copy all below directory *source* into the empty directory *target*, and its attributes.

    Both are descriptors and stay open. *owners*: from user and group of a file to those of its
    copy. Raises: OSError.
    """
    try:
        _Copy(owners).directory(source, target)
    except RecursionError as error:
        raise OSError(errno.ENAMETOOLONG, "directories are nested too deeply") from error


def copy_directory(source: Path, target: Path) -> None:
    """Copy all below *source* into the empty directory *target*. Raises: OSError."""
    left = os.open(source, _DIRECTORY)
    try:
        right = os.open(target, _DIRECTORY)
        try:
            copy_tree(left, right)
        finally:
            os.close(right)
    finally:
        os.close(left)


class _Copy:
    def __init__(self, owners: Owners | None) -> None:
        self._owners = owners or _same
        self._linked: dict[tuple[int, int], str] = {}  # inode with several names -> path below top
        self._top = -1

    def directory(self, source: int, target: int, prefix: str = "") -> None:
        if self._top < 0:
            self._top = target
        for name in sorted(os.listdir(source)):
            self._entry(source, target, name, f"{prefix}{name}")
        info = os.fstat(source)
        os.fchown(target, *self._owners(info.st_uid, info.st_gid))
        _copy_xattrs(source, target)
        os.fchmod(target, stat.S_IMODE(info.st_mode))  # after chown, which drops setgid
        os.utime(target, ns=(info.st_atime_ns, info.st_mtime_ns))

    def _entry(self, source: int, target: int, name: str, path: str) -> None:
        info = os.lstat(name, dir_fd=source)
        if stat.S_ISSOCK(info.st_mode):
            return  # a listening place of a process, not content
        inode = (info.st_dev, info.st_ino)
        if info.st_nlink > 1 and not stat.S_ISDIR(info.st_mode):
            if inode in self._linked:
                self._link(self._linked[inode], target, name)
                return
            self._linked[inode] = path
        if stat.S_ISDIR(info.st_mode):
            self._subdirectory(source, target, name, path)
        elif stat.S_ISREG(info.st_mode):
            _file(source, target, name, self._owners)
        elif stat.S_ISLNK(info.st_mode):
            os.symlink(os.readlink(name, dir_fd=source), name, dir_fd=target)
            _attributes(source, target, name, info, self._owners)
        else:
            os.mknod(name, stat.S_IFMT(info.st_mode) | 0o600, info.st_rdev, dir_fd=target)
            _attributes(source, target, name, info, self._owners)

    def _link(self, first: str, target: int, name: str) -> None:
        directory, _, leaf = first.rpartition("/")
        beside = openat2.openat2(
            self._top,
            directory or ".",
            os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC,
            resolve=openat2.RESOLVE_BENEATH | openat2.RESOLVE_NO_SYMLINKS,
        )
        try:
            os.link(leaf, name, src_dir_fd=beside, dst_dir_fd=target, follow_symlinks=False)
        finally:
            os.close(beside)

    def _subdirectory(self, source: int, target: int, name: str, path: str) -> None:
        inner = os.open(name, _DIRECTORY, dir_fd=source)
        try:
            os.mkdir(name, 0o700, dir_fd=target)
            made = os.open(name, _DIRECTORY, dir_fd=target)
            try:
                self.directory(inner, made, f"{path}/")
            finally:
                os.close(made)
        finally:
            os.close(inner)


def _same(uid: int, gid: int) -> tuple[int, int]:
    return uid, gid


def _file(source: int, target: int, name: str, owners: Owners) -> None:
    # O_NONBLOCK: a file swapped for a fifo must not hold us for ever
    flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
    reading = os.open(name, flags, dir_fd=source)
    try:
        info = os.fstat(reading)
        if not stat.S_ISREG(info.st_mode):
            raise OSError(errno.ESTALE, "the file changed its kind while it was copied", name)
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
        writing = os.open(name, flags, 0o600, dir_fd=target)
        try:
            _content(reading, writing, info.st_size)
            os.fchown(writing, *owners(info.st_uid, info.st_gid))
            _copy_xattrs(reading, writing)
            os.fchmod(writing, stat.S_IMODE(info.st_mode))  # after chown, which drops setuid
            os.utime(writing, ns=(info.st_atime_ns, info.st_mtime_ns))
        finally:
            os.close(writing)
    finally:
        os.close(reading)


def _content(reading: int, writing: int, size: int) -> None:
    """Share the blocks where the file system can, else copy the parts that are no holes."""
    try:
        fcntl.ioctl(writing, _FICLONE, reading)
    except OSError as error:
        if error.errno not in _NO_SUPPORT:
            raise
    else:
        return
    os.truncate(writing, size)
    position = 0
    while position < size:
        try:
            start = os.lseek(reading, position, os.SEEK_DATA)
        except OSError as error:
            if error.errno == errno.ENXIO:
                return  # only a hole is left
            raise
        position = min(os.lseek(reading, start, os.SEEK_HOLE), size)
        _range(reading, writing, start, position)


def _range(reading: int, writing: int, start: int, end: int) -> None:
    while start < end:
        wanted = min(end - start, _CHUNK)
        try:
            done = os.copy_file_range(reading, writing, wanted, start, start)
        except OSError as error:
            if error.errno not in _NO_SUPPORT:
                raise
            done = os.pwrite(writing, os.pread(reading, min(wanted, 1 << 20), start), start)
        if not done:
            return  # the file shrank meanwhile
        start += done


def _copy_xattrs(source: int, target: int) -> None:
    for name in os.listxattr(source):
        if name.startswith("trusted.overlay."):
            continue  # the overlay's own book-keeping
        with _unsupported_ignored():
            os.setxattr(target, name, os.getxattr(source, name))


def _attributes(source: int, target: int, name: str, info: os.stat_result, owners: Owners) -> None:
    """Give a link, device or fifo its owner, mode and times (by name, never following)."""
    os.chown(name, *owners(info.st_uid, info.st_gid), dir_fd=target, follow_symlinks=False)
    if not stat.S_ISLNK(info.st_mode):
        held = os.open(name, os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=target)
        try:
            os.chmod(f"/proc/self/fd/{held}", stat.S_IMODE(info.st_mode))
        finally:
            os.close(held)
    os.utime(name, ns=(info.st_atime_ns, info.st_mtime_ns), dir_fd=target, follow_symlinks=False)
    for xattr in os.listxattr(f"/proc/self/fd/{source}/{name}", follow_symlinks=False):
        with _unsupported_ignored():
            value = os.getxattr(f"/proc/self/fd/{source}/{name}", xattr, follow_symlinks=False)
            os.setxattr(f"/proc/self/fd/{target}/{name}", xattr, value, follow_symlinks=False)


@contextmanager
def _unsupported_ignored() -> Iterator[None]:
    """Pass over an xattr that the target's file system cannot hold; other errors go on."""
    try:
        yield
    except OSError as error:
        if error.errno not in _NO_SUPPORT:
            raise
