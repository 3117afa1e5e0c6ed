"""Results that are no image, sent to the client: an archive as it is, or its files one by one.

For a directory the daemon is the sender of fsutil's protocol (``filesync`` draws it): the names
come out of the archive that the exporter has written, contents are read from it when the client
asks for them.
"""

from __future__ import annotations

import os
import stat
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from pathlib import Path
from typing import BinaryIO, Final

from moorage.buildkit.session import gomode
from moorage.buildkit.session.links import Link
from moorage.buildkit.wire.session import BytesMessage, Packet, PacketKind, Stat
from moorage.grpc import message
from moorage.grpc.connection import Stream
from moorage.lib import offload
from moorage.lib.errors import InvalidParameter
from moorage.storage.archive import chunks
from moorage.storage.archive import entry as kinds
from moorage.storage.archive.entry import Entry, clean
from moorage.storage.archive.reader import TarReader

_PATH: Final = "/moby.filesync.v1.FileSend/DiffCopy"
_ID: Final = "buildkit-attachable-exporter-id"
_META: Final = "exporter-md-"
_CHUNK: Final = 256 << 10
_MODES: Final = {
    kinds.REGULAR: stat.S_IFREG,
    kinds.HARD_LINK: stat.S_IFREG,
    kinds.SYMLINK: stat.S_IFLNK,
    kinds.DIRECTORY: stat.S_IFDIR,
    kinds.FIFO: stat.S_IFIFO,
    kinds.CHARACTER: stat.S_IFCHR,
    kinds.BLOCK: stat.S_IFBLK,
}

Sent = Callable[[int], None]  # told the bytes of each piece


def _check(link: Link) -> None:
    if not link.offers(_PATH):
        raise InvalidParameter(
            f"the client cannot take the output: it does not serve {_PATH.rpartition('/')[0][1:]}"
        )


async def send_file(
    link: Link, number: int, path: Path, told: Mapping[str, str], sent: Sent
) -> None:
    """Send the archive at *path* for output *number*; *told* is what is known of it.

    Raises: InvalidParameter (the client cannot take it), CallFailed, ConnectionError.
    """
    _check(link)
    metadata = [(_ID, str(number)), *((_META + key, value) for key, value in told.items())]
    async with link.channel.call(_PATH, metadata) as stream:
        with path.open("rb") as file:
            while chunk := await offload.run("fs", file.read, _CHUNK):
                sent(len(chunk))
                await stream.send(message.encode(BytesMessage(data=chunk)))
        await stream.send(end=True)
        await stream.outcome()


async def send_tree(link: Link, number: int, path: Path, sent: Sent) -> None:
    """Send the files of the archive at *path* for output *number*.

    Raises: as ``send_file``.
    """
    _check(link)
    with path.open("rb") as file:
        members = await offload.run("fs", _members, file)
        async with link.channel.call(_PATH, [(_ID, str(number))]) as stream:
            await stream.send(*(_packet(kind=PacketKind.STAT, stat=m.stat) for m in members))
            await stream.send(_packet(kind=PacketKind.STAT))
            async for wanted in _requests(stream):
                if not 0 <= wanted < len(members):
                    raise InvalidParameter(f"the client asks for file {wanted}, which is not there")
                await _send_content(stream, file, wanted, members[wanted], sent)
            await stream.send(_packet(kind=PacketKind.FIN), end=True)
            await stream.outcome()


async def _requests(stream: Stream) -> AsyncIterator[int]:
    while (data := await stream.receive()) is not None:
        packet = message.decode(Packet, data)
        if packet.kind == PacketKind.REQUEST:
            yield packet.number
        elif packet.kind == PacketKind.ERROR:
            text = packet.data.decode("utf-8", "replace")
            raise InvalidParameter(f"the client cannot store the files: {text}")
        elif packet.kind == PacketKind.FIN:
            return
    stream.check()


class _Member:
    """One name of the tree and where its content begins in the archive."""

    __slots__ = ("offset", "stat")

    def __init__(self, told: Stat, offset: int) -> None:
        self.stat = told
        self.offset = offset


async def _send_content(
    stream: Stream, file: BinaryIO, number: int, member: _Member, sent: Sent
) -> None:
    offset, left = member.offset, member.stat.size
    while left:
        size = min(left, _CHUNK)
        piece = await offload.run("fs", os.pread, file.fileno(), size, offset)
        offset, left = offset + len(piece), left - len(piece)
        sent(len(piece))
        await stream.send(_packet(kind=PacketKind.DATA, number=number, data=piece))
    await stream.send(_packet(kind=PacketKind.DATA, number=number))


def _packet(
    *, kind: PacketKind, stat: Stat | None = None, number: int = 0, data: bytes = b""
) -> bytes:
    return message.encode(Packet(kind=kind, stat=stat, number=number, data=data))


def _members(file: BinaryIO) -> list[_Member]:
    """Return all names of the archive in the order in which fsutil wants them."""
    found: dict[str, _Member] = {}
    reader = TarReader(chunks.of_file(file))
    for entry in reader:
        name = clean(entry.name)
        if name:
            found[name] = _Member(_stat(name, entry), reader.position)
    for name in list(found):
        for parent in _parents(name):
            if parent not in found:
                mode = gomode.from_kernel(stat.S_IFDIR | 0o755)
                found[parent] = _Member(Stat(path=parent, mode=mode), 0)
    return [found[name] for name in sorted(found, key=lambda name: name.split("/"))]


def _stat(name: str, entry: Entry) -> Stat:
    return Stat(
        path=name,
        mode=gomode.from_kernel(_MODES.get(entry.kind, stat.S_IFREG) | entry.mode),
        uid=entry.uid,
        gid=entry.gid,
        size=entry.size,
        mtime_ns=entry.mtime_ns,
        link=clean(entry.link) if entry.kind == kinds.HARD_LINK else entry.link,
        major=entry.major,
        minor=entry.minor,
        xattrs=entry.xattrs or {},
    )


def _parents(name: str) -> Iterator[str]:
    while name := name.rpartition("/")[0]:
        yield name
