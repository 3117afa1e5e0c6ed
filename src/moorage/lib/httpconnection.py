"""One HTTP/1.1 connection as a client sees it: requests in turn, bodies at the reader's pace.

Only what registries and plugins need: no pipelining, no content codings (blobs are verified as
they are), no redirects (``transport.py`` decides about those). The parsing is llhttp's.
"""

from __future__ import annotations

import asyncio
from collections import deque
from typing import Final

import httptools

_BUFFER: Final = 256 << 10
_HIGH_WATER: Final = 4 << 20  # bytes of body waiting unread before the socket rests
_HEAD_LIMIT: Final = 64 << 10


class ProtocolError(ConnectionError):
    """The peer does not speak HTTP as it should, or stopped in the middle."""


class Headers:
    """Response headers, looked up without regard to case."""

    def __init__(self) -> None:
        self._all: list[tuple[str, str]] = []
        self.size = 0

    def add(self, name: bytes, value: bytes) -> None:
        """Append one header line."""
        self._all.append((name.decode("latin-1").lower(), value.decode("latin-1").strip()))
        self.size += len(name) + len(value)

    def get(self, name: str) -> str | None:
        """Return the first value of *name* (in lower case)."""
        return next((value for key, value in self._all if key == name), None)

    def get_all(self, name: str) -> list[str]:
        """Return all values of *name* (in lower case)."""
        return [value for key, value in self._all if key == name]


class Connection(asyncio.BufferedProtocol):
    """The protocol of one socket. ``begin`` → ``send`` → ``wait_head`` → ``read`` until empty."""

    def __init__(self) -> None:
        self._transport: asyncio.Transport | None = None
        self._buffer = bytearray()
        self._view = memoryview(b"")
        self._parser: httptools.HttpResponseParser | None = None
        self._waiter: asyncio.Future[None] | None = None
        self._drained: asyncio.Future[None] | None = None
        self._error: BaseException | None = None
        self._chunks: deque[bytes] = deque()
        self._waiting = 0  # bytes in _chunks
        self._paused = False
        self._bodiless = False
        self._head_done = self._complete = False
        self.status = 0
        self.headers = Headers()
        self._spent = False
        self.closed = False

    # -- what the loop calls ---------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the transport; called again when TLS has been put on top."""
        assert isinstance(transport, asyncio.Transport)  # noqa: S101 - streams only
        self._transport = transport
        transport.set_write_buffer_limits(high=1 << 20)

    def get_buffer(self, sizehint: int) -> memoryview:  # noqa: ARG002 - ours is always big
        """Give the loop a place to read into."""
        if not self._buffer:
            self._buffer = bytearray(_BUFFER)
            self._view = memoryview(self._buffer)
        return self._view

    def buffer_updated(self, nbytes: int) -> None:
        """Parse what has arrived."""
        if self._parser is None or self._complete:
            self._fail(ProtocolError("data nobody asked for"))
            return
        try:
            self._parser.feed_data(self._view[:nbytes])
        except httptools.HttpParserError as error:
            first = bytes(self._view[: min(nbytes, 5)])
            what = "malformed HTTP response" if first == b"HTTP/" else "not an HTTP response"
            self._fail(ProtocolError(f"{what}: {error}"))
        if self._waiting > _HIGH_WATER and not self._paused and self._transport:
            self._paused = True
            self._transport.pause_reading()

    def eof_received(self) -> bool:
        """Take the end of the stream for the end of a body that has no length."""
        self._ended(None)
        return False

    def connection_lost(self, exc: Exception | None) -> None:
        """Wake everybody."""
        self.closed = True
        self._ended(exc)
        if self._drained and not self._drained.done():
            self._drained.set_result(None)

    def _ended(self, error: BaseException | None) -> None:
        if self._parser is None or self._complete:
            self.closed = True
            return
        if error is None and self._head_done and not self._has_length():
            self.on_message_complete()
        else:
            what = "in the middle of the body" if self._head_done else "before a response"
            self._fail(error or ProtocolError(f"the server closed the connection {what}"))
        self.closed = True

    def _has_length(self) -> bool:
        chunked = "chunked" in (self.headers.get("transfer-encoding") or "").lower()
        return chunked or self.headers.get("content-length") is not None

    def pause_writing(self) -> None:
        """Make ``send`` wait."""
        self._drained = asyncio.get_running_loop().create_future()

    def resume_writing(self) -> None:
        """Let ``send`` go on."""
        if self._drained and not self._drained.done():
            self._drained.set_result(None)
        self._drained = None

    # -- what the parser calls -------------------------------------------------------------------

    def on_header(self, name: bytes, value: bytes) -> None:
        """Keep one header line."""
        self.headers.add(name, value)
        if self.headers.size > _HEAD_LIMIT:
            self._fail(ProtocolError("response headers are too large"))

    def on_headers_complete(self) -> None:
        """Note the status; an interim response (1xx) is passed over."""
        assert self._parser is not None  # noqa: S101 - it is calling
        status: int = self._parser.get_status_code()
        if 100 <= status < 200:
            self.headers = Headers()
            return
        self.status = status
        self._head_done = True
        if self._bodiless:
            self.on_message_complete()
        self._wake()

    def on_body(self, body: bytes) -> None:
        """Queue a piece of the body."""
        if not self._complete:
            self._chunks.append(body)
            self._waiting += len(body)
            self._wake()

    def on_message_complete(self) -> None:
        """Note the end of the response."""
        if self._head_done:
            self._complete = True
            self._wake()

    # -- what the client calls -------------------------------------------------------------------

    @property
    def transport(self) -> asyncio.Transport:
        """The transport, for TLS to be put on top."""
        assert self._transport is not None  # noqa: S101 - connected before it is handed out
        return self._transport

    def begin(self, *, bodiless: bool) -> None:
        """Forget the last response; *bodiless*: the next has only a head (HEAD, CONNECT)."""
        self._parser = httptools.HttpResponseParser(self)
        self._bodiless = bodiless
        self._chunks.clear()
        self._waiting = 0
        self._head_done = self._complete = False
        self.status = 0
        self.headers = Headers()

    async def send(self, data: bytes | memoryview) -> None:
        """Write at the peer's pace; what cannot be written any more is dropped quietly.

        A server may answer and close before it has read a body: the answer counts.
        """
        if self.closed:
            return
        self.transport.write(data)
        if self._drained is not None:
            await asyncio.shield(self._drained)

    @property
    def has_head(self) -> bool:
        """Whether the status is known (an upload may then stop)."""
        return self._head_done or self._error is not None

    async def wait_head(self) -> None:
        """Wait for status and headers. Raises: OSError."""
        while not self._head_done:
            await self._wait()

    async def read(self) -> bytes:
        """Return what has arrived of the body, waiting for it; empty at its end.

        Raises: OSError.
        """
        while not self._chunks:
            if self._complete:
                return b""
            await self._wait()
        joined = self._chunks[0] if len(self._chunks) == 1 else b"".join(self._chunks)
        self._chunks.clear()
        self._waiting = 0
        if self._paused and not self.closed:
            self._paused = False
            self.transport.resume_reading()
        return joined

    @property
    def reusable(self) -> bool:
        """Whether another request may follow."""
        if not self._complete or self._spent or self.closed or self._error or self._chunks:
            return False
        if (self.headers.get("connection") or "").lower() == "close" or self._parser is None:
            return False
        return self._bodiless or bool(self._parser.should_keep_alive())

    def spend(self) -> None:
        """Let this be the last response: a request was not sent to its end."""
        self._spent = True

    def rest(self) -> None:
        """Between two requests: hold no memory; whatever arrives now is an error."""
        self._parser = None
        self._buffer = bytearray()
        self._view = memoryview(b"")

    def close(self) -> None:
        """Close at once."""
        self.closed = True
        if self._transport is not None:
            self._transport.abort()

    async def _wait(self) -> None:
        self._raise_error()
        self._waiter = asyncio.get_running_loop().create_future()
        try:
            await self._waiter
        finally:
            self._waiter = None
        self._raise_error()

    def _raise_error(self) -> None:
        """Raise what went wrong, once all that came before it has been read."""
        if self._error is not None and not self._chunks:
            raise self._error

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    def _fail(self, error: BaseException) -> None:
        if self._error is None:
            self._error = error
        self._wake()
        self.close()
