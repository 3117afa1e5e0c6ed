"""``cp``: paths of a container out as a tar, a tar into a directory of it, or what a path is."""

from __future__ import annotations

import errno
import os
import posixpath
import stat
from collections.abc import AsyncIterator
from contextlib import aclosing
from functools import partial
from typing import BinaryIO, Final

from moorage.containers import filesystem_view, prepare
from moorage.containers.container import Container
from moorage.containers.parts import Parts
from moorage.kernel.idmap import IdMap
from moorage.kernel.openat2 import openat2
from moorage.lib import bridge, clock, offload
from moorage.lib.errors import Forbidden, InvalidParameter, NotFound
from moorage.spec.engine.container import ContainerPathStat
from moorage.storage.archive import chunks, compression
from moorage.storage.archive.extract import extract
from moorage.storage.archive.options import ExtractOptions, PackOptions
from moorage.storage.archive.pack import pack

_GO_MODES: Final = {  # file types as Go's os.FileMode has them
    stat.S_IFDIR: 1 << 31,
    stat.S_IFLNK: 1 << 27,
    stat.S_IFBLK: 1 << 26,
    stat.S_IFIFO: 1 << 25,
    stat.S_IFSOCK: 1 << 24,
    stat.S_IFCHR: 1 << 26 | 1 << 21,
}
_KERNEL_TREES: Final = frozenset({"dev", "proc", "sys"})
_GO_BITS: Final = ((stat.S_ISUID, 1 << 23), (stat.S_ISGID, 1 << 22), (stat.S_ISVTX, 1 << 20))


async def info(parts: Parts, container: Container, path: str, shown: str) -> ContainerPathStat:
    """Return what *path* is; a link itself, not its target.

    *shown* is how the client calls the container.
    Raises: NotFound.
    """
    async with filesystem_view.opened(parts, container) as view:
        work = partial(_stat, path=path, shown=shown)
        return await offload.run_disposable(view.use, work)


async def get(parts: Parts, container: Container, path: str) -> AsyncIterator[bytes]:
    """Yield the tar of *path*, after all is checked that can be.

    Events: ``archive-path``.
    """
    async with filesystem_view.opened(parts, container) as view:

        def produce(file: BinaryIO) -> None:
            view.use(lambda root_fd: _pack(root_fd, path, file, view.owners))

        async with aclosing(bridge.iterate(produce)) as pieces:
            async for piece in pieces:
                yield piece
    parts.announce(container, "archive-path")


async def put(
    parts: Parts,
    container: Container,
    path: str,
    content: AsyncIterator[bytes],
    *,
    shown: str,
    keep_kinds: bool,
    owner_of_container: bool,
) -> None:
    """Unpack a tar, compressed or not, below the directory *path*.

    *keep_kinds*: refuse to replace a directory by something else and the reverse.
    *owner_of_container*: files belong to the container's user, not to whom the archive says.
    Events: ``extract-to-dir``.
    Raises: NotFound, InvalidParameter (no directory, broken archive), Forbidden (read-only).
    """
    _require_writable(container, path)
    user = container.record.config.user if owner_of_container else None
    async with filesystem_view.opened(parts, container) as view:

        def consume(file: BinaryIO) -> None:
            view.use(
                lambda root_fd: _unpack(
                    root_fd,
                    path,
                    file,
                    shown=shown,
                    keep_kinds=keep_kinds,
                    user=user,
                    owners=view.owners,
                )
            )

        await bridge.feed(content, consume)
    parts.announce(container, "extract-to-dir")


def require(path: str) -> None:
    """Refuse what is no path. Raises: InvalidParameter."""
    if not path:
        raise InvalidParameter("path cannot be empty")
    if "\0" in path:
        raise InvalidParameter("invalid path: it holds a null byte")


def _require_writable(container: Container, path: str) -> None:
    """The mount that holds *path*, by its name; where links lead the kernel refuses by itself."""
    record = container.record
    clean = posixpath.normpath(f"/{path.lstrip('/')}")
    holders = [
        m for m in record.mounts if clean == m.destination or clean.startswith(f"{m.destination}/")
    ]
    holder = max(holders, key=lambda m: len(m.destination), default=None)
    if holder is not None:
        if not holder.writable:
            raise Forbidden("mounted volume is marked read-only")
    elif record.host_config.readonly_rootfs:
        raise Forbidden("container rootfs is marked read-only")


def _missing(path: str, shown: str) -> NotFound:
    return NotFound(f"Could not find the file {path} in container {shown}")


def _stat(root_fd: int, *, path: str, shown: str) -> ContainerPathStat:
    flags = os.O_PATH if path.endswith("/") else os.O_PATH | os.O_NOFOLLOW
    try:
        fd = openat2(root_fd, path.lstrip("/") or ".", flags)
    except OSError as error:
        if error.errno in {errno.ENOENT, errno.ENOTDIR, errno.ELOOP}:
            raise _missing(path, shown) from error
        raise
    try:
        found = os.stat(fd)
        target = os.readlink("", dir_fd=fd) if stat.S_ISLNK(found.st_mode) else ""
    finally:
        os.close(fd)
    return ContainerPathStat(
        name=_base(path),
        size=found.st_size,
        mode=go_mode(found.st_mode),
        mtime=clock.rfc3339(found.st_mtime_ns),
        link_target=target
        and posixpath.normpath(posixpath.join(posixpath.dirname(f"/{path.lstrip('/')}"), target)),
    )


def _base(path: str) -> str:
    """Return Go's ``filepath.Base``."""
    return path.rstrip("/").rpartition("/")[2] or "/"


def go_mode(mode: int) -> int:
    """Return a mode as Go's ``os.FileMode`` numbers it (pure)."""
    special = sum(go for unix, go in _GO_BITS if mode & unix)
    return _GO_MODES.get(stat.S_IFMT(mode), 0) | special | mode & 0o777


def _pack(root_fd: int, path: str, file: BinaryIO, owners: IdMap | None) -> None:
    name = _base(path)
    options = PackOptions(
        include=None if _in_kernel_tree(path) else _is_no_kernel_file,
        ids=owners.seen if owners else None,
    )
    file.writelines(pack(root_fd, path.lstrip("/"), name=name, options=options))


def _in_kernel_tree(path: str) -> bool:
    return posixpath.normpath(path.lstrip("/")).partition("/")[0] in _KERNEL_TREES


def _is_no_kernel_file(name: str) -> bool:
    """What the kernel makes up in a running container is no file to copy with the whole root."""
    first, slash, _ = name.lstrip("/").partition("/")
    return not (slash and first in _KERNEL_TREES)


def _unpack(
    root_fd: int,
    path: str,
    file: BinaryIO,
    *,
    shown: str,
    keep_kinds: bool,
    user: str | None,
    owners: IdMap | None,
) -> None:
    directory = path.strip("/")
    try:
        os.close(openat2(root_fd, directory or ".", os.O_PATH | os.O_DIRECTORY))
    except OSError as error:
        if error.errno == errno.ENOTDIR:
            raise InvalidParameter("extraction point is not a directory") from error
        if error.errno in {errno.ENOENT, errno.ELOOP}:
            raise _missing(path, shown) from error
        raise
    owner = None
    if user is not None:
        identity = prepare.identity_below(root_fd, user)
        owner = (identity.uid, identity.gid)
        owner = owners.owner(*owner) if owners else owner
    _, plain = compression.decompress(chunks.of_file(file))
    try:
        options = ExtractOptions(
            owner=owner, replace=not keep_kinds, ids=owners.owner if owners else None
        )
        extract(root_fd, directory, plain, options)
    except OSError as error:
        if error.errno == errno.EROFS:
            raise Forbidden("container rootfs is marked read-only") from error
        raise
