"""Files of this machine as a tar stream."""

from __future__ import annotations

import errno
import posix

from moorage.cli.copying import tarheader
from moorage.cli.copying.tarheader import Member

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

CHUNK = 1 << 20
CAPABILITY = "security.capability"  # the one attribute that docker carries
_NO_ATTRIBUTE = frozenset({errno.ENODATA, errno.ENOTSUP, errno.EPERM, errno.ENOSYS})
_KIND, _MODE = 0o170000, 0o7777
_KINDS = {
    0o100000: tarheader.REGULAR,
    0o120000: tarheader.SYMLINK,
    0o020000: tarheader.CHARACTER,
    0o060000: tarheader.DEVICE,
    0o040000: tarheader.DIRECTORY,
    0o010000: tarheader.FIFO,
}


def pack(source: str, name: str) -> Iterator[bytes]:
    """Yield *source* and, if it is a directory, everything below it, as *name*.

    ``.`` as the name gives the contents of a directory. Sockets are left out; links are kept as
    links, hard ones too.
    """
    seen: dict[tuple[int, int], bytes] = {}
    for path, entry in _walk(source, name):
        yield from _entry(path, entry, seen)
    yield tarheader.END


def _walk(path: str, name: str) -> Iterator[tuple[str, str]]:
    yield path, name
    if posix.lstat(path).st_mode & _KIND != 0o040000:
        return
    for child in sorted(posix.listdir(path)):
        below = child if name == "." else f"{name}/{child}"
        yield from _walk(f"{path}/{child}", below)


def _entry(path: str, name: str, seen: dict[tuple[int, int], bytes]) -> Iterator[bytes]:
    status = posix.lstat(path)
    kind = _KINDS.get(status.st_mode & _KIND)
    if kind is None:
        return
    member = _describe(path, name, kind, status)
    identity = (status.st_dev, status.st_ino)
    regular = kind == tarheader.REGULAR
    if regular and status.st_nlink > 1:
        if identity in seen:
            member.kind, member.link, member.size = tarheader.HARD_LINK, seen[identity], 0
            yield member.header()
            return
        seen[identity] = member.name
    yield member.header()
    if regular:
        yield from _content(path, member.size)


def _describe(path: str, name: str, kind: bytes, status: posix.stat_result) -> Member:
    member = Member(name.encode("utf-8", "surrogateescape"), kind, status.st_mode & _MODE)
    member.uid, member.gid, member.mtime_ns = status.st_uid, status.st_gid, status.st_mtime_ns
    if kind == tarheader.REGULAR:
        member.size = status.st_size
        if capability := _capability(path):
            member.records[tarheader.XATTR + CAPABILITY.encode()] = capability
    elif kind == tarheader.SYMLINK:
        member.link = posix.readlink(path.encode("utf-8", "surrogateescape"))
    elif kind in {tarheader.CHARACTER, tarheader.DEVICE}:
        member.device = posix.major(status.st_rdev), posix.minor(status.st_rdev)
    return member


def _capability(path: str) -> bytes:
    try:
        return posix.getxattr(path, CAPABILITY, follow_symlinks=False)
    except OSError as e:
        if e.errno in _NO_ATTRIBUTE:
            return b""
        raise


def _content(path: str, size: int) -> Iterator[bytes]:
    """Yield exactly *size* bytes and the padding, whatever happens to the file meanwhile."""
    left = size
    with open(path, "rb", buffering=0) as file:
        while left and (chunk := file.read(min(CHUNK, left))):
            left -= len(chunk)
            yield chunk
    while left:
        chunk = bytes(min(CHUNK, left))
        left -= len(chunk)
        yield chunk
    yield tarheader.padding(size)
