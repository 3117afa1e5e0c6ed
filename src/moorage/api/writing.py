"""Responses on the wire: heads, bodies and streams, at the pace of the client."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress

from moorage.api.dispatch import error_response
from moorage.api.httpstatus import REASON
from moorage.api.results import Raw, Stream


class Writer:
    """Writes to one client. *common_headers* are those that every response bears."""

    def __init__(self, transport: asyncio.Transport, common_headers: Callable[[], str]) -> None:
        self._transport = transport
        self._common_headers = common_headers
        self._writable = asyncio.Event()
        self._writable.set()
        self.keep_alive = True  # whether the connection goes on behind this response
        self.http_1_0 = False
        self.gone = False

    def pause(self) -> None:
        """Hold the writers: the client reads too slowly."""
        self._writable.clear()

    def resume(self) -> None:
        """Let the writers go on."""
        self._writable.set()

    @property
    def is_full(self) -> bool:
        """Whether more should wait: the client has not read what was written."""
        return not self._writable.is_set()

    def lose(self) -> None:
        """Let the writers fail: the client has gone."""
        self.gone = True
        self._writable.set()

    def _head(self, status: int, fields: str) -> bytes:
        start = f"{'HTTP/1.0' if self.http_1_0 else 'HTTP/1.1'} {status} {REASON[status]}\r\n"
        if not self.keep_alive:
            fields += "Connection: close\r\n"
        elif self.http_1_0:
            fields += "Connection: keep-alive\r\n"
        return f"{start}{self._common_headers()}{fields}\r\n".encode("latin-1")

    def write(self, response: Raw, *, head_only: bool = False) -> bytes:
        """Write a response whole; return what was written."""
        head = self._head(response.status, response.fields)
        bare = head_only or not response.has_body
        written = head if bare else head + response.body
        self._transport.write(written)
        return written

    def write_continue(self) -> None:
        """Write the answer to ``Expect: 100-continue``."""
        if not self.http_1_0:
            self._transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")

    def write_upgrade(self, content_type: str, *, upgrade: str) -> None:
        """Write the head behind which the stream is raw, or *upgrade* is spoken."""
        if upgrade:
            start = f"HTTP/1.1 101 UPGRADED\r\nConnection: Upgrade\r\nUpgrade: {upgrade}\r\n"
            start += self._common_headers()
        else:
            start = "HTTP/1.1 200 OK\r\n"
        kind = f"Content-Type: {content_type}\r\n" if content_type else ""
        self._transport.write(f"{start}{kind}\r\n".encode("latin-1"))

    def write_websocket(self, accept: str, protocol: str | None) -> None:
        """Write the head behind which there are frames."""
        chosen = f"Sec-WebSocket-Protocol: {protocol}\r\n" if protocol else ""
        self._transport.write(
            "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            f"Sec-WebSocket-Accept: {accept}\r\n{chosen}\r\n".encode("latin-1")
        )

    async def write_stream(self, response: Stream, *, path: str, head_only: bool) -> None:
        """Write a response piece by piece.

        An error before the first piece of one that is not eager gets its own status.
        Raises: what the stream raises behind that; ConnectionResetError, once the client has gone.
        """
        chunks = response.chunks
        try:
            first = b"" if response.eager else await anext(chunks, b"")
        except Exception as error:  # noqa: BLE001 - it still gets a status of its own
            self.write(error_response(error, path))
            return
        fields = f"Content-Type: {response.content_type}\r\n"
        fields += "".join(f"{name}: {value}\r\n" for name, value in response.headers.items())
        chunked = not self.http_1_0
        if chunked:
            fields += "Transfer-Encoding: chunked\r\n"
        else:
            self.keep_alive = False
        self._transport.write(self._head(response.status, fields))
        try:
            if head_only:
                return
            if first:
                await self._send_chunk(first, chunked=chunked)
            async for chunk in chunks:
                if chunk:
                    await self._send_chunk(chunk, chunked=chunked)
            if chunked:
                self._transport.write(b"0\r\n\r\n")
        finally:
            close = getattr(chunks, "aclose", None)
            if close is not None:
                with suppress(RuntimeError):
                    await close()

    async def _send_chunk(self, chunk: bytes, *, chunked: bool) -> None:
        if chunked:
            chunk = b"%x\r\n%b\r\n" % (len(chunk), chunk)
        await self.send(chunk)

    async def send(self, data: bytes) -> None:
        """Write at the client's pace. Raises: ConnectionResetError, once it has gone."""
        if self.gone:
            raise ConnectionResetError("the client has gone")
        self._transport.write(data)
        if not self._writable.is_set():
            await self._writable.wait()
            if self.gone:
                raise ConnectionResetError("the client has gone")
