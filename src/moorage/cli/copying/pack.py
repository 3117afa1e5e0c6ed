"""Files of this machine as a tar stream."""

from __future__ import annotations

import os
import stat
from tarfile import BLOCKSIZE, LNKTYPE, PAX_FORMAT, TarInfo

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

CHUNK = 1 << 20
END = b"\0" * (2 * BLOCKSIZE)


def pack(source: str, name: str) -> Iterator[bytes]:
    """Yield *source* and, if it is a directory, everything below it, as *name*.

    ``.`` as the name gives the contents of a directory. Sockets are left out; links are kept as
    links, hard ones too.
    """
    seen: dict[tuple[int, int], str] = {}
    for path, entry in _walk(source, name):
        yield from _entry(path, entry, seen)
    yield END


def _walk(path: str, name: str) -> Iterator[tuple[str, str]]:
    yield path, name
    if not stat.S_ISDIR(os.lstat(path).st_mode):
        return
    for child in sorted(os.listdir(path)):
        below = child if name == "." else f"{name}/{child}"
        yield from _walk(f"{path}/{child}", below)


def _entry(path: str, name: str, seen: dict[tuple[int, int], str]) -> Iterator[bytes]:
    status = os.lstat(path)
    if stat.S_ISSOCK(status.st_mode):
        return
    info = _describe(path, name, status)
    identity = (status.st_dev, status.st_ino)
    if info.isreg() and status.st_nlink > 1:
        if identity in seen:
            info.type, info.linkname, info.size = LNKTYPE, seen[identity], 0
            yield info.tobuf(PAX_FORMAT, "utf-8", "surrogateescape")
            return
        seen[identity] = name
    yield info.tobuf(PAX_FORMAT, "utf-8", "surrogateescape")
    if info.isreg():
        yield from _content(path, info.size)


def _describe(path: str, name: str, status: os.stat_result) -> TarInfo:
    info = TarInfo(name)
    info.mode = stat.S_IMODE(status.st_mode)
    info.uid, info.gid, info.mtime = status.st_uid, status.st_gid, status.st_mtime
    kinds = {
        stat.S_IFREG: b"0",
        stat.S_IFLNK: b"2",
        stat.S_IFCHR: b"3",
        stat.S_IFBLK: b"4",
        stat.S_IFDIR: b"5",
        stat.S_IFIFO: b"6",
    }
    info.type = kinds[stat.S_IFMT(status.st_mode)]
    if info.isreg():
        info.size = status.st_size
    elif info.issym():
        info.linkname = os.readlink(path)
    elif info.isdev():
        info.devmajor, info.devminor = os.major(status.st_rdev), os.minor(status.st_rdev)
    return info


def _content(path: str, size: int) -> Iterator[bytes]:
    """Yield exactly *size* bytes and the padding, whatever happens to the file meanwhile."""
    left = size
    with open(path, "rb", buffering=0) as file:
        while left and (chunk := file.read(min(CHUNK, left))):
            left -= len(chunk)
            yield chunk
    while left:
        chunk = b"\0" * min(CHUNK, left)
        left -= len(chunk)
        yield chunk
    yield b"\0" * (-size % BLOCKSIZE)
