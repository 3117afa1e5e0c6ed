"""A volume's content on its way out, in, and into another volume.

Archives are ordinary tars with owners, modes, xattrs and nanoseconds, compressed or not; holes of
files cost nothing. Links are never followed, on the way out or in (CVE-2023-0778).
"""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import BinaryIO, Final

from moorage.lib import bridge, ids, offload
from moorage.lib.errors import Conflict, InvalidParameter, System
from moorage.lib.failpoint import failpoint
from moorage.spec.engine.volume import Volume
from moorage.storage import treecopy
from moorage.storage.archive import chunks, compression
from moorage.storage.archive.extract import extract
from moorage.storage.archive.options import ExtractOptions, Limits, PackOptions
from moorage.storage.archive.pack import pack
from moorage.volumes.names import check_name
from moorage.volumes.service import Volumes

Compress = Callable[[Iterator[bytes]], Iterator[bytes]]
_AS_IT_IS: Final = PackOptions(nanoseconds=True, sparse=True)
_COMPRESSIONS: Final[dict[str, Compress]] = {
    "": lambda plain: plain,
    "none": lambda plain: plain,
    "gzip": compression.gzip,
    "zstd": compression.zstd,
}


def backup(volumes: Volumes, name: str, *, kind: str = "") -> AsyncIterator[bytes]:
    """Return a tar of the volume, compressed by *kind* (none, gzip, zstd).

    Containers may use it meanwhile; what they change then may be in the archive or not.
    Raises: InvalidParameter, NotFound.
    """
    if kind not in _COMPRESSIONS:
        raise InvalidParameter(
            f"invalid compression '{kind}'", hint="none, gzip and zstd are known"
        )
    volumes.get(name)
    return _backup(volumes, name, _COMPRESSIONS[kind])


async def _backup(volumes: Volumes, name: str, compress: Compress) -> AsyncIterator[bytes]:
    async with _mounted(volumes, name, "backup") as path:

        def produce(file: BinaryIO) -> None:
            with _opened(path) as root:
                for chunk in compress(pack(root, options=_AS_IT_IS)):
                    file.write(chunk)

        async for chunk in bridge.iterate(produce):
            yield chunk


async def restore(
    volumes: Volumes, name: str, archive: AsyncIterator[bytes], *, create: bool = False
) -> None:
    """Unpack a tar, compressed or not, into the volume; files it has are replaced.

    *create* makes the volume if there is none, and takes it away again if the archive is bad.
    Raises: NotFound, Conflict (a container has it mounted), InvalidParameter (the archive), System.
    """
    made = create and volumes.table.get(name) is None
    if made:
        await volumes.create(name)
    try:
        await _restore(volumes, name, archive)
    except BaseException:
        if made:
            await volumes.remove(name, force=True)
        raise


async def _restore(volumes: Volumes, name: str, archive: AsyncIterator[bytes]) -> None:
    _require_unmounted(volumes, name, "restore")
    async with _mounted(volumes, name, "restore") as path:

        def consume(file: BinaryIO) -> None:
            _, plain = compression.decompress(chunks.of_file(file))
            space = os.statvfs(path)
            limits = Limits(bytes_total=space.f_bavail * space.f_frsize)
            with _opened(path) as root:
                extract(root, "", plain, ExtractOptions(limits=limits))

        try:
            await bridge.feed(_not_empty(archive), consume)
        except OSError as error:
            raise System(f"restore {name}: {error.strerror or error}") from error


async def _not_empty(archive: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    """Refuse nothing at all: an empty tar has 1,024 bytes, so what made it has failed."""
    empty = True
    async for chunk in archive:
        empty = empty and not chunk
        yield chunk
    if empty:
        raise InvalidParameter("the archive is empty", hint="did the command before the pipe fail?")


async def copy(volumes: Volumes, name: str, target: str) -> Volume:
    """Copy a volume to a new one, with its labels and its size limit.

    The new one is of the local driver; blocks are shared where the file system can.
    Events: ``create``.
    Raises: InvalidParameter, NotFound, Conflict (*target* exists), System.
    """
    source = volumes.get(name)
    check_name(target)
    if volumes.table.get(target) is not None:
        raise Conflict(f"copy {name}: volume '{target}' exists already")
    size = (source.options or {}).get("size")
    labels = {k: v for k, v in (source.labels or {}).items() if not k.startswith("com.docker.")}
    made = await volumes.create(
        target, driver="local", options={"size": size} if size else None, labels=labels or None
    )
    try:
        async with (
            _mounted(volumes, name, "copy") as left,
            _mounted(volumes, target, "copy") as right,
        ):
            failpoint("volumes.copy.before_tree")
            await offload.run_disposable(treecopy.copy_directory, left, right)
    except BaseException as error:
        await volumes.remove(target, force=True)
        if isinstance(error, OSError):
            raise System(f"copy {name}: {error.strerror or error}") from error
        raise
    return made


def _require_unmounted(volumes: Volumes, name: str, verb: str) -> None:
    if users := volumes.table.mounts(name):
        raise Conflict(
            f"{verb} {name}: volume is in use - [{', '.join(sorted(users))}]",
            hint="stop the containers first",
        )


@asynccontextmanager
async def _mounted(volumes: Volumes, name: str, verb: str) -> AsyncIterator[Path]:
    user = f"{verb}-{ids.token()}"
    path = await volumes.mount(name, user)
    try:
        yield path
    finally:
        await volumes.unmount(name, user)


@contextmanager
def _opened(path: Path) -> Iterator[int]:
    fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        yield fd
    finally:
        os.close(fd)
