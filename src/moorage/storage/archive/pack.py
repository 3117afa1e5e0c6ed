"""Packing a tree into tar: the same tree always gives the same bytes.

Names are sorted, user and group names left out, times in whole seconds unless asked otherwise.
The tree may be a running container's: files are opened without following links, and a file that
changes its size meanwhile is cut or filled up to the size its header says.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterable, Iterator
from typing import Final

from moorage.kernel.openat2 import (
    RESOLVE_BENEATH,
    RESOLVE_IN_ROOT,
    RESOLVE_NO_MAGICLINKS,
    RESOLVE_NO_SYMLINKS,
    openat2,
)
from moorage.lib.errors import NotFound
from moorage.storage.archive import entry as kinds
from moorage.storage.archive import sparse
from moorage.storage.archive.chunks import CHUNK
from moorage.storage.archive.entry import Entry, kind_of
from moorage.storage.archive.header import BLOCK, ZEROS, format_entry
from moorage.storage.archive.options import PackOptions

END: Final = ZEROS * 2
_HERE: Final = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS
_IN_ROOT: Final = RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS
_DIRECTORY: Final = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW
_FILE: Final = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOATIME
_KEPT_XATTRS: Final = ("user.", "security.capability")
_SMALL: Final = 256 << 10


def pack(
    root_fd: int, path: str = "", *, name: str = "", options: PackOptions | None = None
) -> Iterator[bytes]:
    """Return the tar of *path* below the root *root_fd*, in chunks.

    The way to *path* resolves inside the root; its last part is followed only if it ends in a
    slash. *name* is what the member is called in the archive ("" for a directory: its contents
    only, as for a layer). Raises: NotFound, OSError.
    """
    packer = Packer(options or PackOptions())
    return _gather(packer.tree(root_fd, path, name))


def pack_names(
    root_fd: int,
    names: Iterable[str],
    deleted: Iterable[str],
    options: PackOptions | None = None,
) -> Iterator[bytes]:
    """Return a layer's tar of *names* (not their trees) and whiteouts for the *deleted* ones."""
    packer = Packer(options or PackOptions())
    return _gather(packer.listed(root_fd, names, deleted))


def _gather(pieces: Iterator[bytes]) -> Iterator[bytes]:
    """Join small pieces to chunks, and end the archive."""
    buffer = bytearray()
    for piece in pieces:
        if len(piece) >= _SMALL:
            if buffer:
                yield bytes(buffer)
                buffer.clear()
            yield piece
            continue
        buffer += piece
        if len(buffer) >= CHUNK // 2:
            yield bytes(buffer)
            buffer.clear()
    yield bytes(buffer) + END


class Packer:
    """One archive being written: remembers the files with several names."""

    def __init__(self, options: PackOptions) -> None:
        self._options = options
        self._links: dict[tuple[int, int], str] = {}

    def tree(self, root_fd: int, path: str, name: str) -> Iterator[bytes]:
        """Return the members for *path* and all below it."""
        flags = os.O_PATH if path.endswith("/") or not path else os.O_PATH | os.O_NOFOLLOW
        try:
            fd = openat2(root_fd, path or ".", flags, resolve=_IN_ROOT)
        except FileNotFoundError as error:
            raise NotFound(f"no such file or directory: {path}") from error
        try:
            found = os.stat(fd)
            if stat.S_ISDIR(found.st_mode):
                if name:
                    yield from self._member(fd, found, name)
                yield from self._children(fd, "", name)
            else:
                yield from self._member(fd, found, name or path.rpartition("/")[2])
        finally:
            os.close(fd)

    def listed(self, root_fd: int, names: Iterable[str], deleted: Iterable[str]) -> Iterator[bytes]:
        """Return the members *names* and whiteouts for *deleted*, sorted together."""
        work = [(name, False) for name in names] + [(name, True) for name in deleted]
        way = _Way(root_fd)
        try:
            for name, gone in sorted(work):
                if gone:
                    yield self._whiteout(name)
                    continue
                fd = way.open(name)
                if fd is None:
                    continue  # removed meanwhile
                try:
                    yield from self._member(fd, os.stat(fd), name)
                finally:
                    os.close(fd)
        finally:
            way.close()

    def _children(self, top: int, relative: str, name: str) -> Iterator[bytes]:
        """Walk with a stack of names, so that depth costs no descriptors."""
        stack = [(relative, name)]
        while stack:
            relative, name = stack.pop()
            try:
                directory = openat2(
                    top, relative or ".", os.O_RDONLY | os.O_DIRECTORY, resolve=_HERE
                )
            except (FileNotFoundError, NotADirectoryError):
                continue  # removed meanwhile
            deeper: list[tuple[str, str]] = []
            try:
                for child in sorted(os.listdir(directory)):
                    below = f"{relative}/{child}" if relative else child
                    if self._options.include is not None and not self._options.include(below):
                        continue
                    member = f"{name}/{child}" if name else child
                    yield from self._child(directory, child, member, below, deeper)
            finally:
                os.close(directory)
            stack.extend(reversed(deeper))

    def _child(
        self, directory: int, child: str, member: str, below: str, deeper: list[tuple[str, str]]
    ) -> Iterator[bytes]:
        try:
            fd = os.open(child, os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=directory)
        except FileNotFoundError:
            return
        try:
            found = os.stat(fd)
            yield from self._member(fd, found, member)
            if stat.S_ISDIR(found.st_mode):
                deeper.append((below, member))
        finally:
            os.close(fd)

    def _member(self, fd: int, found: os.stat_result, name: str) -> Iterator[bytes]:
        """Return header and content of what the O_PATH descriptor *fd* is."""
        kind = kind_of(found.st_mode)
        if kind is None:
            return  # a socket
        entry = self._entry(found, kind, name)
        further = self._is_further_name(found, entry, kind)
        if kind in {kinds.REGULAR, kinds.DIRECTORY} and self._options.xattrs:
            # of each name: dockerd changes the owner at each, which takes the capabilities away
            entry.xattrs = kept_xattrs(f"/proc/self/fd/{fd}") or None
        if further:
            yield format_entry(entry)
            return
        if kind == kinds.SYMLINK:
            entry.link = os.readlink("", dir_fd=fd)
        if entry.size:
            holes = self._options.sparse and sparse.is_sparse(found)
            yield from self._file(fd, entry, holes=holes)
            return
        yield format_entry(entry)

    def _is_further_name(self, found: os.stat_result, entry: Entry, kind: str) -> bool:
        """Make *entry* a hard link if its file has been packed under another name."""
        if kind == kinds.DIRECTORY or found.st_nlink == 1:
            return False
        first = self._links.setdefault((found.st_dev, found.st_ino), entry.name)
        if first == entry.name:
            return False
        entry.kind, entry.link, entry.size = kinds.HARD_LINK, first, 0
        return True

    def _entry(self, found: os.stat_result, kind: str, name: str) -> Entry:
        options = self._options
        uid, gid = options.owner or (found.st_uid, found.st_gid)
        if options.ids is not None:
            uid, gid = options.ids(uid, gid)
        mtime = found.st_mtime_ns
        return Entry(
            name=f"{name}/" if kind == kinds.DIRECTORY else name,
            kind=kind,
            mode=stat.S_IMODE(found.st_mode),
            uid=uid,
            gid=gid,
            size=found.st_size if kind == kinds.REGULAR else 0,
            mtime_ns=mtime if options.nanoseconds else mtime // 1_000_000_000 * 1_000_000_000,
            major=os.major(found.st_rdev) if kind in {kinds.CHARACTER, kinds.BLOCK} else 0,
            minor=os.minor(found.st_rdev) if kind in {kinds.CHARACTER, kinds.BLOCK} else 0,
        )

    @staticmethod
    def _file(path_fd: int, entry: Entry, *, holes: bool) -> Iterator[bytes]:
        fd = _reopen(path_fd)
        try:
            size = entry.size
            if holes and (pieces := sparse.segments(fd, size)) is not None:
                yield from sparse.member(fd, entry, pieces)
                return
            if size <= _SMALL:
                content = os.read(fd, size)
                padding = bytes(size - len(content) + (-size % BLOCK))
                yield format_entry(entry) + content + padding
                return
            yield format_entry(entry)
            left = size
            while left:
                piece = os.read(fd, min(left, CHUNK))
                if not piece:
                    break
                left -= len(piece)
                yield piece
            while left:  # it became shorter while we read
                yield bytes(min(left, CHUNK))
                left -= min(left, CHUNK)
            yield bytes(-size % BLOCK)
        finally:
            os.close(fd)

    @staticmethod
    def _whiteout(name: str) -> bytes:
        directory, slash, last = name.rpartition("/")
        full = f"{directory}{slash}{kinds.WHITEOUT_PREFIX}{last}"
        return format_entry(Entry(name=full, kind=kinds.REGULAR, mode=0))


class _Way:
    """Opens sorted names below a root, keeping open the directory that the last one was in."""

    def __init__(self, root_fd: int) -> None:
        self._root = root_fd
        self._directory: str | None = None
        self._fd = -1

    def open(self, name: str) -> int | None:
        """Return an O_PATH descriptor of *name*, which is not followed; None if it is not there."""
        directory, _, last = name.rpartition("/")
        try:
            if directory != self._directory:
                fd = openat2(self._root, directory or ".", _DIRECTORY, resolve=_HERE)
                self.close()
                self._directory, self._fd = directory, fd
            return os.open(last, os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=self._fd)
        except (FileNotFoundError, NotADirectoryError):
            return None

    def close(self) -> None:
        """Close the directory kept open."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1


def _reopen(path_fd: int) -> int:
    """Open for reading what an O_PATH descriptor stands for."""
    itself = f"/proc/self/fd/{path_fd}"
    try:
        return os.open(itself, os.O_RDONLY | os.O_NONBLOCK | os.O_NOATIME | os.O_CLOEXEC)
    except PermissionError:  # O_NOATIME is for the owner only
        return os.open(itself, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)


def kept_xattrs(path: str) -> dict[str, bytes]:
    """Return the attributes of *path*, which is no link, that an archive keeps.

    Raises: OSError.
    """
    try:
        names = os.listxattr(path)
    except OSError as error:
        if error.errno in {errno.ENOTSUP, errno.EPERM, errno.EACCES}:
            return {}
        raise
    kept = [key for key in names if key.startswith(_KEPT_XATTRS) and not _overlay(key)]
    return {key: os.getxattr(path, key) for key in kept}


def _overlay(key: str) -> bool:
    return key.startswith(("user.overlay.", "user.fuseoverlayfs."))
