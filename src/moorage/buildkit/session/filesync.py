"""Files of the client's directories: fsutil's protocol, spoken from the receiving side.

::

    client                                                daemon
    STAT for each name, in order; an empty STAT   ->
                                                  <-      REQUEST number, for what is wanted
    DATA number, piece …; an empty DATA ends one  ->
                                                  <-      FIN
    FIN                                           ->

Requests run ahead of the answers by a bounded number of bytes; what arrives of a file whose turn
has not come is held, never more of it than the client said it has.
"""

from __future__ import annotations

from collections import deque
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from contextlib import asynccontextmanager
from typing import Final
from urllib.parse import quote_plus

from moorage.buildkit.session.links import Link
from moorage.buildkit.session.tree import Tree
from moorage.buildkit.wire.session import Packet, PacketKind, Stat
from moorage.grpc import message
from moorage.grpc.connection import Stream
from moorage.lib.errors import InvalidParameter

PATH: Final = "/moby.filesync.v1.FileSync/DiffCopy"
_AHEAD_BYTES: Final = 8 << 20  # asked for and not yet passed on
_AHEAD_FILES: Final = 256

Arrived = Callable[[int], None]  # told the bytes of each piece


class Directory:
    """One directory of the client, opened: its names are known, contents can be asked for."""

    def __init__(self, stream: Stream, arrived: Arrived) -> None:
        self._stream = stream
        self._arrived = arrived
        self.tree = Tree()
        self._held: dict[int, deque[bytes]] = {}
        self._room: dict[int, int] = {}  # bytes that the file may still have
        self._ended: set[int] = set()

    async def read_names(self) -> None:
        """Take all names. Raises: InvalidParameter (illegal ones), CallFailed, ConnectionError."""
        while (packet := await self._packet()) is not None:
            if packet.kind == PacketKind.STAT:
                if packet.stat is None or packet.stat == Stat():
                    return
                self.tree.add(packet.stat)
        raise InvalidParameter("the client did not name all files of its directory")

    async def contents(
        self, wanted: Sequence[tuple[str, int]]
    ) -> AsyncIterator[tuple[str, AsyncIterator[bytes]]]:
        """Yield (path, pieces) of the files *wanted*, given with their sizes, in their order.

        The pieces of one are read to their end before the next is asked for.
        """
        numbers = [self.tree.numbers[path] for path, _ in wanted]
        ahead = ahead_bytes = 0
        for index, (path, size) in enumerate(wanted):
            batch: list[bytes] = []
            while ahead < len(wanted) and ahead - index < _AHEAD_FILES:
                following = wanted[ahead][1]
                if ahead > index and ahead_bytes + following > _AHEAD_BYTES:
                    break
                batch.append(self._request(numbers[ahead], following))
                ahead_bytes += following
                ahead += 1
            if batch:
                await self._stream.send(*batch)
            yield path, self._content(path, numbers[index])
            ahead_bytes -= size

    def _request(self, number: int, size: int) -> bytes:
        self._held[number] = deque()
        self._room[number] = size
        return message.encode(Packet(kind=PacketKind.REQUEST, number=number))

    async def _content(self, path: str, number: int) -> AsyncIterator[bytes]:
        held = self._held[number]
        while True:
            while held:
                yield held.popleft()
            if number in self._ended:
                break
            packet = await self._packet()
            if packet is None:
                raise InvalidParameter(f"the client did not send all of {path}")
            self._take(packet)
        if self._room[number]:
            raise InvalidParameter(
                f"{path} became shorter while it was sent", hint="build again, once it is at rest"
            )
        del self._held[number], self._room[number]
        self._ended.discard(number)

    def _take(self, packet: Packet) -> None:
        """Keep a piece, as long as the file is said to be: one that grew is cut there."""
        if packet.kind != PacketKind.DATA or packet.number not in self._held:
            return
        if not packet.data:
            self._ended.add(packet.number)
            return
        self._arrived(len(packet.data))
        room = self._room[packet.number]
        if room:
            piece = packet.data[:room]
            self._room[packet.number] = room - len(piece)
            self._held[packet.number].append(piece)

    async def _packet(self) -> Packet | None:
        data = await self._stream.receive()
        if data is None:
            self._stream.check()
            return None
        packet = message.decode(Packet, data)
        if packet.kind == PacketKind.ERROR:
            raise InvalidParameter(
                f"the client cannot send its files: {packet.data.decode('utf-8', 'replace')}"
            )
        return packet

    async def finish(self) -> None:
        """Say that all is here. Raises: CallFailed, ConnectionError."""
        await self._stream.send(message.encode(Packet(kind=PacketKind.FIN)), end=True)
        await self._stream.outcome()


@asynccontextmanager
async def open_directory(
    link: Link,
    name: str,
    *,
    exclude: Iterable[str] = (),
    only: Iterable[str] = (),
    arrived: Arrived = lambda _: None,
) -> AsyncIterator[Directory]:
    """Open the client's directory *name*.

    *exclude* are patterns of what does not exist; *only* names the paths to which it is limited,
    with what their links lead to.
    Raises: InvalidParameter, CallFailed (no such directory), ConnectionError.
    """
    metadata = [
        ("dir-name", name),
        *_patterns("exclude-patterns", exclude),
        *_patterns("followpaths", only),
    ]
    async with link.channel.call(PATH, metadata) as stream:
        directory = Directory(stream, arrived)
        await directory.read_names()
        yield directory


def _patterns(key: str, values: Iterable[str]) -> list[tuple[str, str]]:
    """Return metadata for a list; with anything that is not ASCII in it, all are encoded."""
    listed = list(values)
    if all(value.isascii() for value in listed):
        return [(key, value) for value in listed]
    encoded = [(key, quote_plus(value.encode("utf-8", "surrogateescape"))) for value in listed]
    return [*encoded, (f"{key}-encoded", "1")]
