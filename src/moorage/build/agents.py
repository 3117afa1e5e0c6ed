"""SSH agents of a client inside a build: a socket here, the agent there, one connection between.

::

    command --connect--> socket of the daemon --frames over the hijacked connection--> client
                                                                                         |
                                                              the agent <--connect-------+

A frame is the number of a connection, a length (both 32 bits, big endian) and as many bytes; a
length of 0 is that connection's end.
"""

from __future__ import annotations

import asyncio
import struct
from contextlib import suppress
from pathlib import Path
from typing import Final, Protocol

from moorage.lib import ids

HEAD: Final = struct.Struct(">II")
_CHUNK: Final = 16 << 10
_LIMIT: Final = 1 << 20  # of one frame: an agent's messages are small


class Pipe(Protocol):
    """The connection to the client."""

    async def read(self) -> bytes: ...  # noqa: D102
    async def write(self, data: bytes) -> None: ...  # noqa: D102


class AgentRelay:
    """One agent of one client; its socket is at ``path`` while ``run`` runs."""

    def __init__(self, directory: Path, pipe: Pipe) -> None:
        self.path = directory / f"{ids.token()}.sock"
        self._pipe = pipe
        self._writers: dict[int, asyncio.StreamWriter] = {}
        self._last = 0
        self._sending = asyncio.Lock()
        self.ready = asyncio.Event()

    async def run(self) -> None:
        """Serve until the client goes."""
        server = await asyncio.start_unix_server(self._accept, self.path)
        self.ready.set()
        try:
            async with server:
                await self._receive()
        finally:
            for writer in self._writers.values():
                writer.close()
            self.path.unlink(missing_ok=True)

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._last += 1
        number = self._last
        self._writers[number] = writer
        try:
            while chunk := await reader.read(_CHUNK):
                await self._send(number, chunk)
            await self._send(number, b"")
        except OSError:
            self._forget(number)

    async def _send(self, number: int, chunk: bytes) -> None:
        async with self._sending:
            await self._pipe.write(HEAD.pack(number, len(chunk)) + chunk)

    async def _receive(self) -> None:
        held = bytearray()
        while chunk := await self._pipe.read():
            held += chunk
            while len(held) >= HEAD.size:
                number, length = HEAD.unpack_from(held)
                if length > _LIMIT:
                    return
                if len(held) < HEAD.size + length:
                    break
                payload = bytes(held[HEAD.size : HEAD.size + length])
                del held[: HEAD.size + length]
                await self._deliver(number, payload)

    async def _deliver(self, number: int, payload: bytes) -> None:
        writer = self._writers.get(number)
        if writer is None:
            return
        if not payload:
            self._forget(number)
            return
        with suppress(OSError):
            writer.write(payload)
            await writer.drain()

    def _forget(self, number: int) -> None:
        writer = self._writers.pop(number, None)
        if writer is not None:
            writer.close()
