"""One HTTP/2 connection over a byte stream that somebody has hijacked; either role.

``h2`` knows the protocol; here are the reading, the waiting for windows, and who is told what. A
stream holds at most one window of unread bytes, whatever the other side sends: what its reader has
not taken is not credited. The window of the whole connection is credited at once, so that a
slow reader of one stream stops that stream alone.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from typing import Final, Protocol

import h2.config
import h2.connection
import h2.errors
import h2.events
import h2.exceptions
import h2.settings

from moorage.grpc.framing import Unframer, frame
from moorage.grpc.status import CallFailed, Code, Headers, of_trailers
from moorage.lib.tasks import Supervisor

log = logging.getLogger(__name__)
logging.getLogger("hpack").setLevel(logging.WARNING)  # it writes down every header it packs
_WINDOW: Final = 512 << 10  # bytes that one stream may have unread
_CONNECTION_WINDOW: Final = 4 << 20
_FRAME_SIZE: Final = 64 << 10
_HEADER_LIMIT: Final = 64 << 10  # bytes of one block of headers
_STREAM_LIMIT: Final = 100  # open at once
_TASK_LIMIT: Final = 2 * _STREAM_LIMIT  # at work for streams, those that were reset included
_BURST: Final = 256 << 10  # bytes handed to the socket at a time


class Duplex(Protocol):
    """The connection below."""

    async def read(self) -> bytes: ...  # noqa: D102
    async def write(self, data: bytes) -> None: ...  # noqa: D102
    def close(self) -> None: ...  # noqa: D102


class Stream:
    """One call, as both sides see it: messages out, messages in, and how it ended."""

    def __init__(self, connection: Connection, number: int) -> None:
        self.number = number
        self.headers: Headers = []  # of the request, or of the response
        self.trailers: dict[str, str] = {}
        self._connection = connection
        self._chunks: deque[tuple[bytes, int]] = deque()  # with what they took of the window
        self._unframer = Unframer()
        self._error: Exception | None = None
        self._arrived = asyncio.Event()
        self._sending = asyncio.Lock()
        self.writable = asyncio.Event()
        self.is_ended = False  # the other side sends no more

    # --- what the connection tells -------------------------------------------------------------

    def feed(self, data: bytes, credit: int) -> None:
        """Add what arrived."""
        self._chunks.append((data, credit))
        self._arrived.set()

    def end(self) -> None:
        """Say that no more will come."""
        self.is_ended = True
        self._arrived.set()

    def fail(self, error: Exception) -> None:
        """Say that nothing goes any more, in either direction."""
        self._error = self._error or error
        self.is_ended = True
        self._arrived.set()
        self.writable.set()

    @property
    def unread_bytes(self) -> int:
        """What has arrived and nobody has taken."""
        return sum(len(data) for data, _ in self._chunks)

    @property
    def error(self) -> Exception | None:
        """What ended it before its time."""
        return self._error

    # --- what callers do -----------------------------------------------------------------------

    async def receive(self) -> bytes | None:
        """Return the next message; None once the other side has sent its last.

        Raises: CallFailed (a message that cannot be), ConnectionError.
        """
        while (found := self._unframer.next()) is None:
            if self._chunks:
                data, credit = self._chunks.popleft()
                self._unframer.feed(data)
                await self._connection.credit(self, credit)
            elif self._error is not None:
                raise self._error
            elif self.is_ended:
                if not self._unframer.is_empty:
                    raise CallFailed(Code.INTERNAL, "the stream ends inside of a message")
                return None
            else:
                self._arrived.clear()
                await self._arrived.wait()
        return found

    async def send(self, *messages: bytes, end: bool = False) -> None:
        """Send *messages*, at the pace of the other side; *end*: they are the last.

        Raises: ConnectionError, CallFailed (the other side has reset the call).
        """
        data = b"".join(map(frame, messages))
        async with self._sending:
            await self._connection.send_data(self, data, end=end)

    async def send_headers(self, headers: Headers, *, end: bool = False) -> None:
        """Send the first headers of a response, or the trailers. Raises: ConnectionError."""
        async with self._sending:
            await self._connection.send_headers(self, headers, end=end)

    async def outcome(self) -> None:
        """Read to the end; return if the call was well, as its client sees it.

        Raises: CallFailed, ConnectionError.
        """
        while await self.receive() is not None:
            pass
        self.check()

    def check(self) -> None:
        """Raise how the call failed, once it has ended. Raises: CallFailed."""
        failed = of_trailers(self.trailers)
        if failed is not None:
            raise failed

    async def reset(self) -> None:
        """Give the call up, if it has not ended."""
        await self._connection.reset(self)


Accept = Callable[[Stream], Awaitable[None]]


class Connection:
    """All calls of one connection; lives as long as ``run``."""

    def __init__(self, duplex: Duplex, *, client: bool, accept: Accept | None = None) -> None:
        """*accept* serves a call of the other side; a *client* has none."""
        configuration = h2.config.H2Configuration(client_side=client, header_encoding="utf-8")
        self._h2 = h2.connection.H2Connection(config=configuration)
        self._duplex = duplex
        self._accept = accept
        self._streams: dict[int, Stream] = {}
        self._tasks: dict[int, asyncio.Task[None]] = {}
        self._owner = Supervisor("grpc")
        self._writing = asyncio.Lock()
        self._owed = 0  # of the connection's window
        self._owed_streams: dict[int, int] = {}
        self._gone = False
        self._h2.initiate_connection()
        self._h2.update_settings(
            {
                h2.settings.SettingCodes.INITIAL_WINDOW_SIZE: _WINDOW,
                h2.settings.SettingCodes.MAX_FRAME_SIZE: _FRAME_SIZE,
                h2.settings.SettingCodes.MAX_HEADER_LIST_SIZE: _HEADER_LIMIT,
                h2.settings.SettingCodes.MAX_CONCURRENT_STREAMS: _STREAM_LIMIT,
            }
        )
        self._h2.increment_flow_control_window(_CONNECTION_WINDOW)

    async def run(self) -> None:
        """Serve until the other side goes; afterwards every call has failed and every task ended.

        Cancel: the same, at once.
        """
        try:
            await self._flush()
            while data := await self._duplex.read():
                self._take(data)
                await self._flush()
        except (h2.exceptions.ProtocolError, UnicodeDecodeError) as error:
            log.debug("connection broken off: %s", error)
            with suppress(ConnectionError):
                await self._flush()  # which says why
        except ConnectionError as error:
            log.debug("connection lost: %s", error)
        finally:
            self._gone = True
            for stream in self._streams.values():
                stream.fail(ConnectionResetError("the other side of the session has gone"))
            await self._owner.close()
            self._duplex.close()

    # --- arriving ------------------------------------------------------------------------------

    def _take(self, data: bytes) -> None:
        for event in self._h2.receive_data(data):
            if isinstance(event, h2.events.RequestReceived):
                self._begin(event)
            elif isinstance(event, h2.events.DataReceived):
                self._data(event)
            elif isinstance(event, h2.events.ConnectionTerminated):
                raise ConnectionResetError("the other side ends the connection")
            elif isinstance(event, h2.events.WindowUpdated | h2.events.RemoteSettingsChanged):
                for stream in self._streams.values():
                    stream.writable.set()
            else:
                self._tell(event)

    def _tell(self, event: h2.events.Event) -> None:
        """Pass on what concerns one stream alone."""
        stream = self._streams.get(_number(event))
        if stream is None:
            return
        if isinstance(event, h2.events.ResponseReceived):
            stream.headers = _headers(event)
            stream.trailers = dict(stream.headers)
        elif isinstance(event, h2.events.TrailersReceived):
            stream.trailers.update(_headers(event))
        elif isinstance(event, h2.events.StreamEnded):
            stream.end()
        elif isinstance(event, h2.events.StreamReset):
            self._was_reset(stream)

    def _begin(self, event: h2.events.RequestReceived) -> None:
        if self._accept is None or len(self._tasks) >= _TASK_LIMIT:
            self._h2.close_connection(h2.errors.ErrorCodes.ENHANCE_YOUR_CALM)
            raise ConnectionResetError("the other side asks for too much at once")
        number = _number(event)
        stream = self._streams[number] = Stream(self, number)
        stream.headers = _headers(event)
        path = dict(stream.headers).get(":path", "")
        task = self._owner.start(self._serve(stream, self._accept), path)
        self._tasks[number] = task
        task.add_done_callback(lambda _: self._tasks.pop(number, None))

    async def _serve(self, stream: Stream, accept: Accept) -> None:
        try:
            await accept(stream)
        except ConnectionError as error:
            log.debug("a call was given up: %s", error)
        finally:
            await self.reset(stream)

    def _data(self, event: h2.events.DataReceived) -> None:
        size = event.flow_controlled_length or 0
        self._owed += size
        if self._owed > _CONNECTION_WINDOW // 4:
            self._h2.increment_flow_control_window(self._owed)
            self._owed = 0
        if (stream := self._streams.get(_number(event))) is not None:
            stream.feed(event.data or b"", size)

    def _was_reset(self, stream: Stream) -> None:
        del self._streams[stream.number]
        stream.fail(CallFailed(Code.CANCELLED, "the other side has given the call up"))
        if (task := self._tasks.get(stream.number)) is not None:
            task.cancel()

    async def credit(self, stream: Stream, size: int) -> None:
        """Let the other side send *size* bytes more on *stream*."""
        owed = self._owed_streams.get(stream.number, 0) + size
        if owed < _WINDOW // 4 or stream.is_ended:
            self._owed_streams[stream.number] = owed
            return
        self._owed_streams[stream.number] = 0
        with suppress(h2.exceptions.ProtocolError):  # closed in the meantime
            self._h2.increment_flow_control_window(owed, stream.number)
        await self._flush()

    # --- leaving -------------------------------------------------------------------------------

    async def open(self, headers: Headers) -> Stream:
        """Begin a call. Raises: ConnectionError."""
        if self._gone:
            raise ConnectionResetError("the other side of the session has gone")
        try:
            number = self._h2.get_next_available_stream_id()
            self._h2.send_headers(number, headers)
        except h2.exceptions.ProtocolError as error:
            raise ConnectionResetError(f"no further call can be made: {error}") from error
        stream = self._streams[number] = Stream(self, number)
        await self._flush()
        return stream

    async def send_headers(self, stream: Stream, headers: Headers, *, end: bool) -> None:
        """Send headers or trailers. Raises: ConnectionError, CallFailed."""
        _alive(stream)
        try:
            self._h2.send_headers(stream.number, headers, end_stream=end)
        except h2.exceptions.ProtocolError as error:
            raise ConnectionResetError(str(error)) from error
        await self._flush()

    async def send_data(self, stream: Stream, data: bytes, *, end: bool) -> None:
        """Send *data* as fast as the windows allow. Raises: ConnectionError, CallFailed."""
        view = memoryview(data)
        waiting = 0
        while view or end:
            _alive(stream)
            try:
                room = self._h2.local_flow_control_window(stream.number) if view else 0
                if view and room <= 0:
                    stream.writable.clear()
                    await self._flush()
                    waiting = 0
                    await stream.writable.wait()
                    continue
                chunk = view[: min(room, self._h2.max_outbound_frame_size)]
                view = view[len(chunk) :]
                last = end and not view
                self._h2.send_data(stream.number, bytes(chunk), end_stream=last)
            except h2.exceptions.ProtocolError as error:
                raise ConnectionResetError(str(error)) from error
            waiting += len(chunk)
            if waiting >= _BURST:
                await self._flush()
                waiting = 0
            if last:
                break
        await self._flush()

    async def reset(self, stream: Stream) -> None:
        """Forget *stream*; the other side is told, if it does not know that it has ended."""
        self._streams.pop(stream.number, None)
        self._owed_streams.pop(stream.number, None)
        if self._gone:
            return
        with suppress(h2.exceptions.ProtocolError, ConnectionError):
            self._h2.reset_stream(stream.number, h2.errors.ErrorCodes.CANCEL)
            await self._flush()

    async def _flush(self) -> None:
        async with self._writing:
            if data := self._h2.data_to_send():
                await self._duplex.write(data)

    async def close(self) -> None:
        """Say goodbye and end."""
        with suppress(h2.exceptions.ProtocolError, ConnectionError):
            self._h2.close_connection()
            await self._flush()
        self._duplex.close()


def _alive(stream: Stream) -> None:
    if stream.error is not None:
        raise stream.error


def _number(event: h2.events.Event) -> int:
    number: int | None = getattr(event, "stream_id", None)
    return number or 0


def _headers(
    event: h2.events.RequestReceived | h2.events.ResponseReceived | h2.events.TrailersReceived,
) -> Headers:
    found: Sequence[tuple[str | bytes, str | bytes]] = event.headers or ()
    return [(_text(name), _text(value)) for name, value in found]


def _text(value: str | bytes) -> str:
    return value if isinstance(value, str) else value.decode()
