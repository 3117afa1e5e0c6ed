"""Raw conversations with an API server inside the test's own loop."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

from moorage.api.server import Server


@dataclass
class Things:
    """The domain of the test's routes; remembers what happened."""

    cancelled: list[str] = field(default_factory=list)
    received: int = 0
    gate: asyncio.Event = field(default_factory=asyncio.Event)


@dataclass
class Peer:
    """A raw conversation."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter

    async def send(self, data: bytes) -> None:
        self.writer.write(data)
        await self.writer.drain()

    async def all(self) -> bytes:
        async with asyncio.timeout(5):
            return await self.reader.read()

    async def until(self, end: bytes) -> bytes:
        async with asyncio.timeout(5):
            return await self.reader.readuntil(end)

    async def head(self) -> str:
        return (await self.until(b"\r\n\r\n")).decode()

    async def response(self) -> tuple[int, bytes]:
        """Read one response with a Content-Length."""
        head = await self.head()
        size = int(head.lower().partition("content-length:")[2].split()[0])
        async with asyncio.timeout(5):
            return int(head.split()[1]), await self.reader.readexactly(size)


@dataclass
class Running:
    """A server, what its routes remember, and a way to it."""

    server: Server
    things: Things
    connect: Callable[[], Awaitable[Peer]]
