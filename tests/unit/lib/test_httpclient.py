"""Connections that are kept: which of them are used again, and which are given up."""

from __future__ import annotations

import asyncio
import socket
import struct
from collections.abc import AsyncIterator
from contextlib import suppress

import pytest

from moorage.lib import clock
from moorage.lib.httpclient import HttpClient

_RESET_ON_CLOSE = struct.pack("ii", 1, 0)  # SO_LINGER of no time: RST instead of FIN


@pytest.fixture
async def client() -> AsyncIterator[HttpClient]:
    made = HttpClient(user_agent="test")
    yield made
    await made.close()


class Server:
    """Answers each request with 204; ``reset_next`` resets a connection upon its next request."""

    def __init__(self) -> None:
        self.connections: list[asyncio.StreamWriter] = []
        self.reset_next = False
        self.url = ""
        self.ended = asyncio.Event()  # the client has closed a connection

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections.append(writer)
        try:
            while await reader.readuntil(b"\r\n\r\n"):
                if self.reset_next:
                    self.reset_next = False
                    raw = writer.get_extra_info("socket")
                    raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_ON_CLOSE)
                    writer.transport.abort()
                    return
                writer.write(b"HTTP/1.1 204 No Content\r\n\r\n")
        except (asyncio.IncompleteReadError, ConnectionError):
            self.ended.set()


@pytest.fixture
async def server() -> AsyncIterator[Server]:
    made = Server()
    listening = await asyncio.start_server(made.serve, "127.0.0.1", 0)
    made.url = f"http://127.0.0.1:{listening.sockets[0].getsockname()[1]}/"
    yield made
    listening.close()
    for writer in made.connections:
        writer.close()
        with suppress(ConnectionError):
            await writer.wait_closed()
    await listening.wait_closed()


async def ask(client: HttpClient, url: str) -> int:
    async with await client.request("POST", url, headers={}, body=b"") as response:
        return response.status


async def test_a_kept_connection_that_is_reset_is_replaced(
    client: HttpClient, server: Server
) -> None:
    assert await ask(client, server.url) == 204
    server.reset_next = True
    assert await ask(client, server.url) == 204
    assert len(server.connections) == 2


async def test_what_nobody_comes_back_for_is_closed_whichever_server_is_asked_next(
    client: HttpClient, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    await ask(client, server.url)
    now = clock.monotonic()
    monkeypatch.setattr(clock, "monotonic", lambda: now + 3600)
    await ask(client, server.url.replace("127.0.0.1", "localhost"))
    await server.ended.wait()
    assert len(server.connections) == 2
