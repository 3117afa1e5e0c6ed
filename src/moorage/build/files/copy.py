"""Copying selected files into a root file system, by descriptor."""

from __future__ import annotations

import errno
import os
import posixpath
import stat
from contextlib import suppress
from typing import Final

from msgspec import Struct

from moorage.build.files import mode as modes
from moorage.build.files.select import Selected, walk
from moorage.build.ignore import Matcher
from moorage.kernel.openat2 import openat2
from moorage.lib.errors import InvalidParameter

_DIRECTORY: Final = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC
_CHUNK: Final = 16 << 20


class Style(Struct, frozen=True, kw_only=True):
    """How files look when they have arrived."""

    owner: tuple[int, int] | None = None  # None: as in the source
    mode: str | None = None
    exclude: Matcher | None = None
    link: bool = False  # hard links to the source where its inode is as wanted


class Copier:
    """Copies into one root. Blocking; use in a thread."""

    def __init__(self, destination_fd: int, style: Style) -> None:
        self._root = destination_fd
        self._style = style
        self._linked: set[tuple[int, int]] = set()

    def copy(
        self, source_fd: int, item: Selected, destination: str, *, into_directory: bool
    ) -> None:
        """Copy *item* to *destination*; a directory's content goes into it, not the directory.

        So a destination that is made does not look like the source: it is 0755, new, and root's or
        the wanted owner's, as in both of dockerd's builders.
        Raises: InvalidParameter (a file where a directory must be), OSError.
        """
        if item.is_directory and not item.keeps_path:
            self._copy_tree(source_fd, item.path, destination, itself=False)
            return
        target = posixpath.join(destination, item.target) if into_directory else destination
        if item.is_directory:
            self._copy_tree(source_fd, item.path, target, itself=True)
        else:
            self._copy_one(source_fd, item.path, target)

    def write(self, content: bytes, path: str, *, mode: int = 0o644) -> None:
        """Write a file that has no source."""
        parent, name = self._parent(path)
        try:
            _clear(parent, name)
            fd = os.open(
                name, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600, dir_fd=parent
            )
            with os.fdopen(fd, "wb") as file:
                file.write(content)
                os.fchown(fd, *(self._style.owner or (0, 0)))
                os.fchmod(fd, self._permissions(mode, is_directory=False))
        finally:
            os.close(parent)

    def make_directory(self, path: str) -> int:
        """Make *path* with its parents (0755); return a descriptor of it."""
        owner = self._style.owner or (0, 0)
        return make_directories(self._root, path, owner=owner)

    def _parent(self, path: str) -> tuple[int, str]:
        parent, name = posixpath.split(path.rstrip("/"))
        return self.make_directory(parent), name

    def _copy_one(self, source_fd: int, path: str, target: str) -> None:
        source = openat2(source_fd, path, os.O_PATH)
        parent = -1
        try:
            status = os.fstat(source)
            parent, name = self._parent(target)
            _refuse_directory(parent, name, target)
            _clear(parent, name)
            if stat.S_ISREG(status.st_mode):
                opened = os.open(f"/proc/self/fd/{source}", os.O_RDONLY | os.O_CLOEXEC)
                self._write_file(opened, status, parent, name)
            else:
                raise InvalidParameter(f'cannot copy "/{path}": neither a file nor a directory')
        finally:
            os.close(source)
            if parent >= 0:
                os.close(parent)

    def _copy_tree(self, source_fd: int, path: str, target: str, *, itself: bool) -> None:
        source = openat2(source_fd, path or ".", _DIRECTORY)
        try:
            created = itself and not _exists(self._root, target)
            top = self.make_directory(target)
            try:
                self._copy_children(source, top)
                if created:
                    self._set_directory(top, os.fstat(source))
            finally:
                os.close(top)
        finally:
            os.close(source)

    def _copy_children(self, source: int, top: int) -> None:
        """Copy what is in *source* to *top*, depth first, with one descriptor per level.

        A directory gets its times when it is left, after the last change inside.
        """
        levels: dict[str, tuple[int, os.stat_result | None]] = {"": (top, None)}
        try:
            for parent, name, path, status in walk(source, self._style.exclude):
                for level in [key for key in levels if not _is_above(key, path)]:
                    self._leave(*levels.pop(level))
                above = posixpath.dirname(path)
                if above not in levels:
                    levels[above] = (_make_below(top, above), None)
                target = levels[above][0]
                if stat.S_ISDIR(status.st_mode):
                    fd, created = _enter(target, name)
                    levels[path] = (fd, status if created else None)
                else:
                    self._copy_entry(parent, name, status, target)
        finally:
            for key, level_state in reversed(levels.items()):
                if key:
                    self._leave(*level_state)

    def _leave(self, fd: int, status: os.stat_result | None) -> None:
        try:
            if status is not None:
                self._set_directory(fd, status)
        finally:
            os.close(fd)

    def _copy_entry(
        self, source_parent: int, name: str, status: os.stat_result, target: int
    ) -> None:
        kind = stat.S_IFMT(status.st_mode)
        if (
            kind == stat.S_IFREG
            and self._linkable(status)
            and _try_link(source_parent, name, target)
        ):
            self._linked.add((status.st_dev, status.st_ino))
            return
        _refuse_directory(target, name, name)
        _clear(target, name)
        if kind == stat.S_IFREG:
            flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
            self._write_file(os.open(name, flags, dir_fd=source_parent), status, target, name)
            return
        if kind == stat.S_IFLNK:
            os.symlink(os.readlink(name, dir_fd=source_parent), name, dir_fd=target)
        elif kind == stat.S_IFIFO:
            os.mkfifo(name, 0o600, dir_fd=target)
        elif kind in {stat.S_IFCHR, stat.S_IFBLK}:
            os.mknod(name, kind | 0o600, status.st_rdev, dir_fd=target)
        else:
            return  # a socket is nothing without its process
        os.chown(name, *self._owner(status), dir_fd=target, follow_symlinks=False)
        if kind != stat.S_IFLNK:
            os.chmod(name, self._permissions(status.st_mode, is_directory=False), dir_fd=target)
        times = (status.st_atime_ns, status.st_mtime_ns)
        os.utime(name, ns=times, dir_fd=target, follow_symlinks=False)

    def _linkable(self, status: os.stat_result) -> bool:
        style = self._style
        return (
            style.link
            and style.mode is None
            and self._owner(status) == (status.st_uid, status.st_gid)
            and (status.st_dev, status.st_ino) not in self._linked
        )

    def _owner(self, status: os.stat_result) -> tuple[int, int]:
        return self._style.owner or (status.st_uid, status.st_gid)

    def _permissions(self, mode: int, *, is_directory: bool) -> int:
        mode = stat.S_IMODE(mode)
        if self._style.mode is None:
            return mode
        return modes.change(mode, self._style.mode, is_directory=is_directory)

    def _set_directory(self, fd: int, status: os.stat_result) -> None:
        os.fchown(fd, *self._owner(status))
        os.fchmod(fd, self._permissions(status.st_mode, is_directory=True))
        os.utime(fd, ns=(status.st_atime_ns, status.st_mtime_ns))

    def _write_file(self, source: int, status: os.stat_result, parent: int, name: str) -> None:
        """Copy the open file *source*, and close it."""
        try:
            flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
            target = os.open(name, flags, 0o600, dir_fd=parent)
            try:
                _copy_content(source, target)
                os.fchown(target, *self._owner(status))
                os.fchmod(target, self._permissions(status.st_mode, is_directory=False))
                _copy_attributes(source, target)
                os.utime(target, ns=(status.st_atime_ns, status.st_mtime_ns))
            finally:
                os.close(target)
        finally:
            os.close(source)


def make_directories(root_fd: int, path: str, *, owner: tuple[int, int] = (0, 0)) -> int:
    """Make *path* below the root, links followed inside of it; return a descriptor of it.

    Raises: InvalidParameter (something on the way is no directory).
    """
    current = ""
    fd = openat2(root_fd, ".", _DIRECTORY)
    for part in path.split("/"):
        if part in {"", "."}:
            continue
        current = f"{current}/{part}"
        try:
            with suppress(FileNotFoundError):
                child = openat2(root_fd, current, _DIRECTORY)
                os.close(fd)
                fd = child
                continue
            os.mkdir(part, 0o755, dir_fd=fd)
            child = os.open(part, _DIRECTORY | os.O_NOFOLLOW, dir_fd=fd)
        except (NotADirectoryError, FileExistsError) as error:
            os.close(fd)
            raise InvalidParameter(
                f"cannot copy to non-directory: {current}",
                hint="a file or a broken link is in the way",
            ) from error
        os.fchmod(child, 0o755)
        os.fchown(child, *owner)
        os.close(fd)
        fd = child
    return fd


def is_directory(root_fd: int, path: str) -> bool:
    """Say whether *path* is a directory below the root, links followed."""
    try:
        os.close(openat2(root_fd, path.lstrip("/") or ".", os.O_PATH | os.O_DIRECTORY))
    except OSError:
        return False
    return True


def _exists(root_fd: int, path: str) -> bool:
    try:
        os.close(openat2(root_fd, path.lstrip("/") or ".", os.O_PATH))
    except OSError:
        return False
    return True


def _is_above(directory: str, path: str) -> bool:
    return not directory or path.startswith(f"{directory}/")


def _make_below(top: int, path: str) -> int:
    """Make the directories of *path* below *top* that a negated exclude needs."""
    fd = os.dup(top)
    for part in filter(None, path.split("/")):
        child, _ = _enter(fd, part)
        os.close(fd)
        fd = child
    return fd


def _enter(parent: int, name: str) -> tuple[int, bool]:
    """Open the directory *name*, made if it is not there; a link to one is followed by nobody."""
    created = False
    with suppress(FileExistsError):
        os.mkdir(name, 0o755, dir_fd=parent)
        created = True
    try:
        return os.open(name, _DIRECTORY | os.O_NOFOLLOW, dir_fd=parent), created
    except OSError as error:
        if error.errno not in {errno.ENOTDIR, errno.ELOOP}:
            raise
        raise InvalidParameter(f"cannot copy to non-directory: {name}") from error


def _refuse_directory(parent: int, name: str, shown: str) -> None:
    try:
        status = os.lstat(name, dir_fd=parent)
    except FileNotFoundError:
        return
    if stat.S_ISDIR(status.st_mode):
        raise InvalidParameter(f"cannot overwrite directory {shown} with a file")


def _clear(parent: int, name: str) -> None:
    with suppress(FileNotFoundError):
        os.unlink(name, dir_fd=parent)


def _try_link(source_parent: int, name: str, target: int) -> bool:
    try:
        os.link(name, name, src_dir_fd=source_parent, dst_dir_fd=target, follow_symlinks=False)
    except OSError as error:
        if error.errno in {errno.EXDEV, errno.EMLINK, errno.EPERM, errno.EEXIST}:
            return False
        raise
    return True


def _copy_content(source: int, target: int) -> None:
    while os.sendfile(target, source, None, _CHUNK):
        pass


def _copy_attributes(source: int, target: int) -> None:
    try:
        names = os.listxattr(source)
    except OSError as error:
        if error.errno == errno.ENOTSUP:
            return
        raise
    for name in names:
        if name.startswith(("user.", "security.capability")):
            with suppress(OSError):
                os.setxattr(target, name, os.getxattr(source, name))
