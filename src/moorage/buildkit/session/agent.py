"""SSH agents of the client: a socket here, each connection to it a call of the client's service."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Final

from moorage.buildkit.session.links import Link
from moorage.buildkit.wire.session import BytesMessage, CheckAgentRequest, CheckAgentResponse
from moorage.grpc import message
from moorage.grpc.connection import Stream
from moorage.grpc.status import CallFailed
from moorage.lib import ids
from moorage.lib.tasks import Supervisor

_FORWARD: Final = "/moby.sshforward.v1.SSH/ForwardAgent"
_CHECK: Final = "/moby.sshforward.v1.SSH/CheckAgent"
_CHUNK: Final = 16 << 10


async def is_offered(link: Link, name: str) -> bool:
    """Say whether the client has an agent called *name*. Raises: ConnectionError."""
    if not link.offers(_CHECK):
        return False
    try:
        await link.channel.unary(_CHECK, CheckAgentRequest(id=name), CheckAgentResponse)
    except CallFailed:
        return False
    return True


@asynccontextmanager
async def relay(link: Link, name: str, directory: Path) -> AsyncIterator[Path]:
    """Keep a socket in *directory* that leads to the client's agent called *name*."""
    path = directory / f"{ids.token()}.sock"
    at_work = Supervisor("agent")

    async def carry(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError, CallFailed):
            async with link.channel.call(_FORWARD, [("buildkit.ssh.id", name)]) as stream:
                entry = at_work.start(_send(reader, stream), "input")
                try:
                    await _receive(stream, writer)
                finally:
                    entry.cancel()
        writer.close()

    def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        _ = at_work.start(carry(reader, writer), "connection")

    server = await asyncio.start_unix_server(accept, path)
    try:
        yield path
    finally:
        server.close()
        await at_work.close()
        path.unlink(missing_ok=True)


async def _send(reader: asyncio.StreamReader, stream: Stream) -> None:
    while chunk := await reader.read(_CHUNK):
        await stream.send(message.encode(BytesMessage(data=chunk)))
    await stream.send(end=True)


async def _receive(stream: Stream, writer: asyncio.StreamWriter) -> None:
    while (data := await stream.receive()) is not None:
        writer.write(message.decode(BytesMessage, data).data)
        await writer.drain()
