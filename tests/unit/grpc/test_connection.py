"""Calls over a connection in memory: both sides are ours, the bytes between are HTTP/2."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Annotated, NamedTuple

import pytest
from msgspec import Struct

from moorage.grpc import message
from moorage.grpc.client import Channel
from moorage.grpc.connection import Connection
from moorage.grpc.server import Metadata, Method, Server
from moorage.grpc.status import CallFailed, Code
from moorage.lib.errors import NotFound
from moorage.lib.tasks import Supervisor
from support.wires import End, pair


class Text(Struct, frozen=True, kw_only=True):
    text: Annotated[str, 1] = ""
    count: Annotated[int, 2] = 0


class Service:
    """Echoes."""

    def __init__(self) -> None:
        self.cancelled = asyncio.Event()
        self.waiting = asyncio.Event()

    async def echo(self, request: Text, metadata: Metadata) -> Text:
        return Text(text=request.text + metadata.get("suffix", ""))

    async def many(self, request: Text, _metadata: Metadata) -> AsyncIterator[Text]:
        for number in range(request.count):
            yield Text(text=request.text, count=number)

    async def fail(self, request: Text, _metadata: Metadata) -> Text:
        raise NotFound(request.text)

    async def wait(self, _request: Text, _metadata: Metadata) -> Text:
        self.waiting.set()
        try:
            await asyncio.Event().wait()
        finally:
            self.cancelled.set()
        raise AssertionError


class Link(NamedTuple):
    near: End
    client: Connection


@asynccontextmanager
async def connected(service: Service) -> AsyncIterator[tuple[Channel, Link]]:
    near, far = pair()
    methods = {
        f"/s.S/{name}": Method(Text, getattr(service, name))
        for name in ("echo", "many", "fail", "wait")
    }
    owner = Supervisor("test")
    served = owner.start(Server(methods).serve(far), "server")
    client = Connection(near, client=True)
    called = owner.start(client.run(), "client")
    try:
        yield Channel(client), Link(near, client)
    finally:
        near.close()
        await asyncio.wait({served, called})
        await owner.close()


@pytest.fixture
async def service() -> Service:
    return Service()


async def test_a_request_has_its_answer(service: Service) -> None:
    async with connected(service) as (channel, _):
        found = await channel.unary("/s.S/echo", Text(text="a"), Text, [("suffix", "b")])
        assert found.text == "ab"


async def test_messages_larger_than_all_windows_pass_both_ways(service: Service) -> None:
    async with connected(service) as (channel, _):
        text = "x" * (9 << 20)
        assert (await channel.unary("/s.S/echo", Text(text=text), Text)).text == text


async def test_calls_at_the_same_time_do_not_mix(service: Service) -> None:
    async with connected(service) as (channel, _), asyncio.TaskGroup() as group:
        calls = [
            group.create_task(channel.unary("/s.S/echo", Text(text=str(n) * 50_000), Text))
            for n in range(40)
        ]
    assert [task.result().text for task in calls] == [str(n) * 50_000 for n in range(40)]


async def test_an_answer_may_be_a_stream(service: Service) -> None:
    async with (
        connected(service) as (channel, _),
        channel.call("/s.S/many") as stream,
    ):
        await stream.send(message.encode(Text(text="y" * 10_000, count=300)), end=True)
        counts = []
        while (data := await stream.receive()) is not None:
            counts.append(message.decode(Text, data).count)
        await stream.outcome()
    assert counts == list(range(300))


async def test_an_error_has_its_code_and_sentence(service: Service) -> None:
    async with connected(service) as (channel, _):
        with pytest.raises(CallFailed, match="no 'ä%' here") as caught:
            await channel.unary("/s.S/fail", Text(text="no 'ä%' here"), Text)
        assert caught.value.code == Code.NOT_FOUND


async def test_what_is_not_served_says_so(service: Service) -> None:
    async with connected(service) as (channel, _):
        with pytest.raises(CallFailed, match=r"unknown method gone for service s\.S") as caught:
            await channel.unary("/s.S/gone", Text(), Text)
        assert caught.value.code == Code.UNIMPLEMENTED


async def test_a_call_that_is_given_up_is_cancelled_at_the_other_side(service: Service) -> None:
    async with connected(service) as (channel, _):
        async with channel.call("/s.S/wait") as stream:
            await stream.send(message.encode(Text()), end=True)
            await service.waiting.wait()
        await service.cancelled.wait()
        assert (await channel.unary("/s.S/echo", Text(text="a"), Text)).text == "a"


async def test_a_deadline_of_the_client_ends_the_call(service: Service) -> None:
    async with connected(service) as (channel, _):
        with pytest.raises(CallFailed, match="time has run out") as caught:
            await channel.unary("/s.S/wait", Text(), Text, [("grpc-timeout", "10m")])
        assert caught.value.code == Code.DEADLINE_EXCEEDED
    assert service.cancelled.is_set()


async def test_a_client_that_goes_takes_its_calls_along(service: Service) -> None:
    async with connected(service) as (channel, link):
        async with channel.call("/s.S/wait") as stream:
            await stream.send(message.encode(Text()), end=True)
            await service.waiting.wait()
            link.near.close()
            with pytest.raises(ConnectionResetError):
                await stream.receive()
        await service.cancelled.wait()
        with pytest.raises(ConnectionResetError):
            await channel.unary("/s.S/echo", Text(), Text)


@pytest.mark.parametrize(
    ("data", "sentence"),
    [
        (b"\0\0\0\0\5\x0a\x05a", "ends inside of a message"),
        (b"\0\xff\xff\xff\xff", "over the limit"),
        (b"\0\0\0\0\2\x0a\x09", "cut short"),
        (b"", "no request"),
    ],
)
async def test_a_request_that_cannot_be_is_refused(
    service: Service, data: bytes, sentence: str
) -> None:
    async with connected(service) as (channel, link):
        async with channel.call("/s.S/echo") as stream:
            await link.client.send_data(stream, data, end=True)
            with pytest.raises(CallFailed, match=sentence):
                await stream.outcome()
        assert (await channel.unary("/s.S/echo", Text(text="a"), Text)).text == "a"


@pytest.mark.parametrize(
    "data",
    [
        b"GET / HTTP/1.1\r\n\r\n",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes.fromhex("000001 01 05 00000001 ff"),
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes.fromhex("000001 00 00 00000001 00"),
    ],
)
async def test_bytes_that_are_no_http_2_end_the_connection(service: Service, data: bytes) -> None:
    near, far = pair()
    server = Server({"/s.S/echo": Method(Text, service.echo)})
    owner = Supervisor("test")
    serving = owner.start(server.serve(far), "server")
    await near.write(data)
    await serving


async def test_a_reader_that_does_not_read_stops_its_own_stream_alone(service: Service) -> None:
    async with (
        connected(service) as (channel, _),
        channel.call("/s.S/many") as slow,
    ):
        await slow.send(message.encode(Text(text="z" * 100_000, count=1000)), end=True)
        assert (await channel.unary("/s.S/echo", Text(text="a" * 999_999), Text)).text[0] == "a"
        assert slow.unread_bytes <= 512 << 10
