"""One client over HTTP/1.1 on an asyncio transport.

Heads are cut out of the stream and parsed one by one; framing of bodies is ours, so that the bytes
behind a head are never parsed before it is known whose they are: the next request's, or those of a
hijacked stream.

One connection goes round: HEAD -> BODY -> (response written) -> HEAD, or ends in a hijack. One
pipelined behind another waits in the buffer, unparsed, until that one is answered.
"""

from __future__ import annotations

import asyncio
import logging
import select
from collections.abc import Coroutine
from typing import TYPE_CHECKING, Any, Final

from moorage.api import websocket
from moorage.api.chunked import ChunkedDecoder
from moorage.api.dispatch import error_response
from moorage.api.head import parse_head
from moorage.api.httpstatus import HttpError
from moorage.api.inbox import Inbox
from moorage.api.request import Duplex, Peer, Request
from moorage.api.results import Hijacked, Raw, Response, Stream
from moorage.api.writing import Writer
from moorage.lib.errors import InvalidParameter, MoorageError

if TYPE_CHECKING:
    from moorage.api.origin import HostCheck
    from moorage.api.server import Server

log = logging.getLogger(__name__)

HEAD_LIMIT: Final = 256 << 10  # bytes of request line and headers
REMEMBERED_HEADS: Final = 512
REMEMBERED_SIZE: Final = 1024  # bytes of the longest head that is remembered
PIPELINE_LIMIT: Final = 256 << 10  # bytes held back while a request is being answered
HEAD_TIMEOUT_S: Final = 30.0  # from the first byte of a head to its last
GONE_CHECK_S: Final = 1.0  # how often a half-closed socket is looked at
LINGER_S: Final = 2.0  # how long a refused body is swallowed, so that the answer can be read
WRITE_HIGH_WATER: Final = 256 << 10
_END_OF_HEAD: Final = b"\r\n\r\n"


class Connection(asyncio.Protocol):
    """One client."""

    def __init__(self, server: Server, peer_kind: str, host_check: HostCheck | None) -> None:
        self._server = server
        self._kind = peer_kind
        self._host_check = host_check
        self._buffer = b""
        self._request: Request | None = None
        self._inbox: Inbox | None = None  # body of the current request, if it has one
        self._decoder: ChunkedDecoder | None = None
        self._left = 0  # bytes of the body still to come, if its length was given
        self._expects_continue = False
        self._task: asyncio.Task[Any] | None = None
        self._head_timer: asyncio.TimerHandle | None = None
        self._stream: HijackedStream | None = None
        self._half_closed = False
        self._advancing = False
        self._lingering = False

    # -- transport ---------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin."""
        assert isinstance(transport, asyncio.Transport)  # noqa: S101
        self._transport = transport
        self._out = Writer(transport, self._server.common_headers)
        transport.set_write_buffer_limits(high=WRITE_HIGH_WATER)
        self._peer = describe_peer(self._kind, transport)
        admitted = self._server.admit()
        self._server.connections.add(self)
        if self._server.closing:
            transport.close()
        elif not admitted:
            self._refuse(HttpError(503, "too many connections are open; try again later"))

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - asyncio's name
        """End: what is being served for this client is cancelled."""
        self._out.lose()
        self._server.lose(self)
        self._disarm()
        gone = ConnectionResetError("the client has gone")
        inbox = self._stream.inbox if self._stream is not None else self._inbox
        if inbox is not None:
            inbox.fail(gone)
        if self._task is not None:
            self._task.cancel()

    def pause_writing(self) -> None:
        """Hold the writers: the client reads too slowly."""
        self._out.pause()

    def resume_writing(self) -> None:
        """Let the writers go on, and answer what was held back."""
        self._out.resume()
        if self._request is None and self._stream is None and not self._lingering:
            self._resume_reading()
            self._advance()

    def data_received(self, data: bytes) -> None:
        """Take what arrived."""
        if self._stream is not None:
            self._stream.inbox.feed(data)
            return
        if self._lingering:
            return
        if self._request is None and not self._buffer:
            ready = self._server.ready(self._kind).get(data)
            if ready is not None and self._out.keep_alive and not self._out.is_full:
                self._transport.write(ready)
                return
        self._buffer = self._buffer + data if self._buffer else data
        self._advance()

    def eof_received(self) -> bool:
        """Take the client's half-close; True keeps our side open."""
        self._half_closed = True
        if self._stream is not None:
            self._stream.inbox.feed_eof()
            self._watch_half_closed()
            return True
        if self._inbox is not None and not self._inbox.ended:
            self._inbox.fail(InvalidParameter("unexpected EOF: the request body is cut short"))
        if self._request is None:
            return False
        self._out.keep_alive = False
        self._watch_half_closed()
        return True

    def _watch_half_closed(self) -> None:
        """Notice a client that is gone altogether, which no read will tell any more.

        Over TCP the two look alike. Unless the stream is hijacked, half-closed is taken for gone
        there, as Go's server does; a hijacked one ends when a keep-alive probe is refused.
        """
        if self._out.gone or self._request is None:
            return
        if (self._kind != "unix" and self._stream is None) or self._hung_up():
            self._transport.abort()
            return
        loop = asyncio.get_running_loop()
        loop.call_later(GONE_CHECK_S, self._watch_half_closed)

    def _hung_up(self) -> bool:
        socket = self._transport.get_extra_info("socket")
        if socket is None or socket.fileno() < 0:
            return True
        poll = select.poll()
        poll.register(socket.fileno(), 0)
        return any(events & (select.POLLHUP | select.POLLERR) for _, events in poll.poll(0))

    def shut_down(self) -> None:
        """Close when idle; otherwise cancel what is being served."""
        self._out.keep_alive = False
        if self._task is not None:
            self._task.cancel()
        else:
            self._transport.close()

    # -- reading -----------------------------------------------------------------------------

    def _advance(self) -> None:
        """Go as far as the buffer allows."""
        if self._advancing:
            return  # a response written on the spot comes back here: the loop below goes on
        self._advancing = True
        try:
            while self._buffer and not self._out.gone and self._stream is None:
                if self._request is None:
                    if not self._take_head():
                        return
                elif self._inbox is not None and not self._inbox.ended:
                    self._take_body(self._inbox)
                else:
                    if len(self._buffer) > PIPELINE_LIMIT:
                        self._transport.pause_reading()
                    return
        except MoorageError as error:
            self._refuse(error)
        finally:
            self._advancing = False

    def _take_head(self) -> bool:
        buffer = self._buffer
        if not self._out.keep_alive or self._transport.is_closing():
            self._buffer = b""
            return False
        if self._out.is_full:  # a client that asks on and on and reads no answer
            self._transport.pause_reading()
            return False
        end = buffer.find(_END_OF_HEAD)
        if end < 0 or end > HEAD_LIMIT:
            if len(buffer) > HEAD_LIMIT:
                raise HttpError(431, f"the request head is over {HEAD_LIMIT} bytes")
            if buffer[:2] == b"\r\n":  # RFC 9112, 2.2: an empty line before a request is skipped
                self._buffer = buffer[2:]
                return True
            self._arm()
            return False
        self._disarm()
        end += len(_END_OF_HEAD)
        self._buffer = buffer[end:]
        self._begin(buffer[:end])
        return True

    def _begin(self, raw: bytes) -> None:
        """Start to answer the request whose head is *raw*."""
        heads = self._server.heads
        head = heads.get(raw)
        if head is None:
            head = parse_head(raw)
            if len(raw) <= REMEMBERED_SIZE and head.length == 0:
                if len(heads) >= REMEMBERED_HEADS:
                    heads.clear()
                heads[raw] = head
        self._out.http_1_0 = head.http_1_0
        self._out.keep_alive = head.keep_alive
        self._expects_continue = head.expects_continue
        self._decoder = ChunkedDecoder() if head.length is None else None
        self._left = head.length or 0
        if self._host_check is not None:
            self._host_check.require(head.headers)
        self._inbox = None
        if head.length != 0:
            self._inbox = Inbox(self._pause_reading, self._resume_reading)
        request = Request(head, self._peer, self._inbox, self)
        self._request = request
        response = self._server.application.respond(request)
        if isinstance(response, Raw):
            written = self._finish(response)
            if response.constant and head.keep_alive and not head.http_1_0 and raw in heads:
                self._server.ready(self._kind)[raw] = written
        else:
            work = self._serve(request, response)
            self._task = self._server.supervisor.start(work, head.path)

    def _take_body(self, inbox: Inbox) -> None:
        """Move what belongs to the body from the buffer to the inbox."""
        buffer, self._buffer = self._buffer, b""
        if self._decoder is None:
            part, self._buffer = buffer[: self._left], buffer[self._left :]
            self._left -= len(part)
            inbox.feed(part)
            if self._left == 0:
                inbox.feed_eof()
            return
        try:
            for part in self._decoder.feed(buffer):
                inbox.feed(part)
        except InvalidParameter as error:
            self._out.keep_alive = False
            inbox.fail(error)
            return
        if self._decoder.done:
            self._buffer = self._decoder.rest
            inbox.feed_eof()

    def _pause_reading(self) -> None:
        if not self._half_closed:
            self._transport.pause_reading()

    def _resume_reading(self) -> None:
        if not self._half_closed and not self._transport.is_closing():
            self._transport.resume_reading()

    def _arm(self) -> None:
        if self._head_timer is None:
            loop = asyncio.get_running_loop()
            self._head_timer = loop.call_later(HEAD_TIMEOUT_S, self._head_too_slow)

    def _disarm(self) -> None:
        if self._head_timer is not None:
            self._head_timer.cancel()
            self._head_timer = None

    def _head_too_slow(self) -> None:
        self._head_timer = None
        self._refuse(HttpError(408, "the request head did not arrive in time"))

    def _refuse(self, error: MoorageError) -> None:
        """Answer a request that could not be understood, and close: framing is lost."""
        self._out.keep_alive = False
        self._buffer = b""
        if self._request is None and not self._transport.is_closing():
            self._out.write(error_response(error, "request"))
        self._linger()

    def _linger(self) -> None:
        """Close so that the client can still read the answer while it is sending a body.

        Closing a socket with unread bytes would reset the connection under the answer.
        """
        if self._half_closed or self._out.gone or self._transport.is_closing():
            self._transport.close()
            return
        self._lingering = True
        self._buffer = b""
        self._transport.resume_reading()
        if self._transport.can_write_eof():
            self._transport.write_eof()
        asyncio.get_running_loop().call_later(LINGER_S, self._transport.close)

    # -- answering ---------------------------------------------------------------------------

    async def _serve(
        self, request: Request, work: Response | Coroutine[Any, Any, Response]
    ) -> None:
        """Wait for the response and write it, at the client's pace."""
        try:
            response = await work if isinstance(work, Coroutine) else work
            if isinstance(response, Stream):
                await self._out.write_stream(
                    response, path=request.path, head_only=request.method == "HEAD"
                )
                self._finish(Hijacked())
            else:
                self._finish(response)
        except (ConnectionError, asyncio.CancelledError) as error:
            log.debug("%s: client gone: %s", request.path, error)
            self._transport.abort()
            if isinstance(error, asyncio.CancelledError):
                raise
        except Exception as error:
            log.exception("%s: broken off", request.path)
            self._transport.abort()
            if not isinstance(error, MoorageError | OSError):
                raise
        finally:
            self._task = None

    def _finish(self, response: Raw | Hijacked) -> bytes:
        """Write the rest of an exchange and go on to the next request; return what was written."""
        request, inbox = self._request, self._inbox
        assert request is not None  # noqa: S101 - it is being answered
        self._task = None
        if self._stream is not None:
            self._stream.close()
            return b""
        complete = inbox is None or self._body_is_done(inbox)
        self._out.keep_alive = keep = self._out.keep_alive and complete and not self._server.closing
        written = b""
        if isinstance(response, Raw):
            written = self._out.write(response, head_only=request.method == "HEAD")
        self._request = None
        self._inbox = None
        if not complete:
            self._linger()
        elif not keep:
            self._transport.close()
        else:
            self._transport.resume_reading()
            self._advance()
        return written

    def _body_is_done(self, inbox: Inbox) -> bool:
        """Whether the next request can be found: an unread body is swallowed if it is short."""
        if not inbox.ended and self._decoder is None and self._left <= len(self._buffer):
            self._take_body(inbox)
        return inbox.ended

    # -- what a request may ask for ----------------------------------------------------------

    @property
    def is_idle(self) -> bool:
        """Whether it waits for its client to ask something, or to ask on."""
        return self._request is None and not self._lingering and not self._transport.is_closing()

    @property
    def is_disconnected(self) -> bool:
        """Whether the client has gone."""
        return self._out.gone

    def continue_body(self) -> None:
        """Answer ``Expect: 100-continue`` once."""
        if self._expects_continue:
            self._expects_continue = False
            self._out.write_continue()

    async def hijack(self, content_type: str, *, upgrade: str) -> Duplex:
        """Take the connection out of HTTP; the rest of the request body is swallowed first."""
        stream = await self._leave_http()
        self._out.write_upgrade(content_type, upgrade=upgrade)
        return stream

    async def websocket(self, key: str, protocol: str | None) -> Duplex:
        """Turn the connection into a WebSocket."""
        stream = await self._leave_http()
        chosen = protocol.split(",")[0].strip() if protocol else None
        self._out.write_websocket(websocket.accept_key(key), chosen)
        return websocket.WebSocketDuplex(stream)

    async def _leave_http(self) -> HijackedStream:
        if self._out.gone:
            raise ConnectionResetError("the client has gone")
        while self._inbox is not None and not self._inbox.ended:
            await self._inbox.read()
        stream = HijackedStream(self._out, self._transport)
        self._stream = stream
        if self._buffer:
            stream.inbox.feed(self._buffer)
            self._buffer = b""
        if self._half_closed:
            stream.inbox.feed_eof()
        self._transport.resume_reading()
        return stream


class HijackedStream:
    """The raw connection after a hijack."""

    def __init__(self, out: Writer, transport: asyncio.Transport) -> None:
        self._out = out
        self._transport = transport
        self.inbox = Inbox(self._pause, self._resume)

    def _pause(self) -> None:
        if not self._transport.is_closing():
            self._transport.pause_reading()

    def _resume(self) -> None:
        if not self._transport.is_closing():
            self._transport.resume_reading()

    async def read(self) -> bytes:
        """Return what arrived; empty once the client has half-closed or gone."""
        try:
            return await self.inbox.read()
        except ConnectionError:
            return b""

    async def write(self, data: bytes) -> None:
        """Send at the client's pace. Raises: ConnectionError."""
        await self._out.send(data)

    async def write_eof(self) -> None:
        """Send what waits, and the end of our side."""
        if self._transport.can_write_eof() and not self._transport.is_closing():
            self._transport.write_eof()

    def close(self) -> None:
        """Send what waits, then end both sides."""
        self._transport.close()


def describe_peer(kind: str, transport: asyncio.Transport) -> Peer:
    """Say who is at the other end."""
    address = transport.get_extra_info("peername")
    certificate = transport.get_extra_info("peercert") or {}
    subject = next(
        (value for part in certificate.get("subject", ()) for key, value in part
         if key == "commonName"), "",
    )  # fmt: skip
    shown = f"{address[0]}:{address[1]}" if isinstance(address, tuple) else ""
    return Peer(kind=kind, address=shown, certificate_subject=subject)
