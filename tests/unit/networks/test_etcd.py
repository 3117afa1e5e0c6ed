"""Which member of a store is asked and watched, when one of them keeps silent."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from moorage.cluster.etcd import Etcd
from moorage.lib.errors import Unavailable


class Store:
    """A member that answers renewals and watches, until it falls silent."""

    def __init__(self) -> None:
        self.silent = False
        self.watched = asyncio.Event()
        self.address = ""

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer one connection's requests."""
        try:
            while head := await reader.readuntil(b"\r\n\r\n"):
                size = int(head.lower().partition(b"content-length: ")[2].partition(b"\r")[0])
                await reader.readexactly(size)
                if self.silent:
                    await reader.read()
                    return
                if b"/v3/watch" in head:
                    created = json.dumps({"result": {"created": True}}).encode() + b"\n"
                    writer.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
                    writer.write(b"%x\r\n%s\r\n" % (len(created), created))
                    self.watched.set()
                    continue
                body = b'{"result":{"ID":"7","TTL":"3"}}'
                writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(body) + body)
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()


@asynccontextmanager
async def member() -> AsyncIterator[Store]:
    store = Store()
    server = await asyncio.start_server(store.serve, "127.0.0.1", 0)
    store.address = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    try:
        yield store
    finally:
        server.close()


@asynccontextmanager
async def two() -> AsyncIterator[tuple[Etcd, Store, Store]]:
    async with member() as one, member() as other:
        etcd = Etcd([one.address, other.address], timeout_s=20)
        try:
            yield etcd, one, other
        finally:
            await etcd.close()


async def test_who_has_no_more_time_to_wait_asks_another_member_next() -> None:
    async with two() as (etcd, one, _):
        one.silent = True
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.1):  # less than the 20 s of one endpoint
                await etcd.renew(7)
        assert await etcd.renew(7)


async def test_a_watch_of_a_member_that_fails_a_call_ends() -> None:
    async with two() as (etcd, one, other):
        watching = asyncio.ensure_future(anext(etcd.watch("/x/", 1)))
        await one.watched.wait()
        assert await etcd.renew(7)
        assert not watching.done()
        one.silent = True
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.1):
                await etcd.renew(7)
        with pytest.raises(OSError, match="closed the connection"):
            await watching
        again = asyncio.ensure_future(anext(etcd.watch("/x/", 1)))
        await other.watched.wait()
        again.cancel()
        await asyncio.wait([again])


async def test_a_watch_that_the_store_breaks_off_says_why() -> None:
    line = b'{"error":{"grpc_code":14,"message":"etcdserver: no leader"}}\n'

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(line) + line)
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    etcd = Etcd([f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"])
    with pytest.raises(Unavailable, match="no leader"):
        await anext(etcd.watch("/x/", 1))
    await etcd.close()
    server.close()


async def test_a_proxy_that_answers_in_the_stores_place_is_a_store_that_cannot_be_reached() -> None:
    """A watch that broke with anything else would never be begun again."""
    page = b"<html>502 Bad Gateway</html>\n"

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(page) + page)
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    etcd = Etcd([f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"], timeout_s=20)
    try:
        with pytest.raises(Unavailable, match="makes no sense: <html>"):
            await etcd.grant(3)
        with pytest.raises(Unavailable, match="makes no sense: <html>"):
            await anext(aiter(etcd.watch("/a/", 1)))
    finally:
        await etcd.close()
        server.close()
