"""A server over a Unix socket with a few routes, and raw conversations with it."""

# ruff: noqa: ARG001 - the first parameter of a route names its domain
from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import msgspec
import pytest

from moorage.api.connection import Connection
from moorage.api.dispatch import Application
from moorage.api.origin import HostCheck
from moorage.api.request import Request
from moorage.api.results import Hijacked, JsonStream, NoContent, Raw, Stream
from moorage.api.routing import Route
from moorage.api.server import Server
from moorage.lib.errors import Conflict
from moorage.lib.tasks import Supervisor
from support.conversation import Peer, Running, Things


class Body(msgspec.Struct, rename="pascal"):
    name: str = ""
    count: int = 0


class Query(msgspec.Struct):
    all: bool = False
    limit: int = -1
    names: list[str] = msgspec.field(default_factory=list, name="name")


@dataclass
class FakeEngine:
    things: Things


def echo_query(things: Things, query: Query) -> dict[str, object]:
    return {"all": query.all, "limit": query.limit, "names": query.names}


async def echo_body(things: Things, body: Body) -> Body:
    return body


async def upload(things: Things, request: Request) -> dict[str, int]:
    async for part in request.body_stream():
        things.received += len(part)
    return {"size": things.received}


async def slow_upload(things: Things, request: Request) -> dict[str, int]:
    await things.gate.wait()
    return await upload(things, request)


async def hijack(things: Things, request: Request, id: str) -> Hijacked:  # noqa: A002
    stream = await request.hijack(content_type="application/vnd.docker.raw-stream")
    await stream.write(f"hello {id}\n".encode())
    while data := await stream.read():
        await stream.write(data.upper())
    await stream.write(b"bye")
    return Hijacked()


async def websocket(things: Things, request: Request) -> Hijacked:
    stream = await request.websocket()
    while data := await stream.read():
        await stream.write(data.upper())
    await stream.write_eof()
    return Hijacked()


def numbers(things: Things) -> Stream:
    async def chunks() -> AsyncIterator[bytes]:
        for number in range(3):
            yield b"%d;" % number
            await asyncio.sleep(0)

    return Stream("text/plain", chunks())


def endless(things: Things) -> Stream:
    async def chunks() -> AsyncIterator[bytes]:
        try:
            while True:
                yield b"x" * 65536
                await asyncio.sleep(0)
        finally:
            things.cancelled.append("endless")

    return Stream("text/plain", chunks())


def silent(things: Things) -> Stream:
    async def chunks() -> AsyncIterator[bytes]:
        try:
            await things.gate.wait()
            yield b""
        finally:
            things.cancelled.append("silent")

    return Stream("text/plain", chunks())


def progress(things: Things, query: Query) -> JsonStream:
    async def values() -> AsyncIterator[object]:
        if query.all:
            yield {"status": "begun"}
        await asyncio.sleep(0)
        raise Conflict("it broke")

    return JsonStream(values())


def broken(things: Things) -> NoContent:
    message = "a bug"
    raise RuntimeError(message)


def image(things: Things, name: str) -> dict[str, str]:
    return {"name": name}


def bytes_back(things: Things) -> Raw:
    return Raw(b"abc", "text/plain")


ROUTES = [
    Route("GET", "/query", "Query", echo_query),
    Route("POST", "/body", "Body", echo_body),
    Route("POST", "/upload", "Upload", upload),
    Route("POST", "/slow", "Slow", slow_upload),
    Route("POST", "/hijack/{id}", "Hijack", hijack),
    Route("GET", "/ws", "Ws", websocket),
    Route("GET", "/numbers", "Numbers", numbers),
    Route("GET", "/endless", "Endless", endless),
    Route("GET", "/silent", "Silent", silent),
    Route("GET", "/progress", "Progress", progress),
    Route("GET", "/broken", "Broken", broken),
    Route("GET", "/bytes", "Bytes", bytes_back),
    Route("GET", "/images/{name:path}/json", "Image", image),
]


@pytest.fixture(params=["unix"])
async def running(tmp_path: Path, request: pytest.FixtureRequest) -> AsyncIterator[Running]:
    kind: str = request.param
    things = Things()
    server = Server(Application(FakeEngine(things), ROUTES), Supervisor("requests"))
    loop = asyncio.get_running_loop()
    path = str(tmp_path / "s")
    peers: list[Peer] = []
    if kind == "unix":
        acceptor = await loop.create_unix_server(lambda: Connection(server, kind, None), path)
    else:
        check = HostCheck(["allowed.example"])
        acceptor = await loop.create_server(lambda: Connection(server, kind, check), "127.0.0.1", 0)

    async def connect() -> Peer:
        if kind == "unix":
            peers.append(Peer(*await asyncio.open_unix_connection(path)))
        else:
            port = acceptor.sockets[0].getsockname()[1]
            peers.append(Peer(*await asyncio.open_connection("127.0.0.1", port)))
        return peers[-1]

    yield Running(server, things, connect)
    acceptor.close()
    things.gate.set()
    await server.close()
    for peer in peers:
        peer.writer.close()
    await asyncio.sleep(0)


@pytest.fixture
async def peer(running: Running) -> Peer:
    return await running.connect()
