"""Connections to a monitor: control (JSON lines) and attachments (frames)."""

from __future__ import annotations

from moor_shim import lean, protocol
from moor_shim.bare import TYPE_CHECKING, deque
from moor_shim.loop import IN, OUT, Loop
from moor_shim.stdio import Stdio

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Final

    OnMessage = Callable[["Control", protocol.Message], None]

READ_SIZE: Final = 65536
HIGH_WATER: Final = 262144  # bytes waiting for a client: above it the process is held back


class Control:
    """A connection that asks and is told of events; it may turn into an attachment."""

    def __init__(
        self,
        loop: Loop,
        connection: lean.Socket,
        on_message: OnMessage,
        on_gone: Callable[[Control], None],
    ) -> None:
        connection.settimeout(0)
        self._loop = loop
        self._socket = connection
        self._lines = protocol.LineReader()
        self._on_message = on_message
        self._on_gone = on_gone
        self._open = True
        self.greeted = False  # whether it gets events
        self.fds: list[int] = []  # that came with messages, in their order
        loop.watch(connection.fileno(), IN, self._readable)

    def send(self, message: protocol.Message, fds: tuple[int, ...] = ()) -> None:
        """Send one message; a peer that does not read its few messages is dropped."""
        if not self._open:
            return
        encoded = protocol.encode(message)
        try:
            sent = lean.send(self._socket, encoded, fds)
        except OSError:
            sent = -1
        if sent != len(encoded):
            self.close()

    def _readable(self, _events: int) -> None:
        try:
            chunk, fds = lean.receive(self._socket, READ_SIZE)
        except BlockingIOError:
            return
        except OSError:
            chunk, fds = b"", []
        self.fds += fds
        if not chunk:
            self.close()
            return
        try:
            while self._open and (message := self._lines.first(chunk)) is not None:
                chunk = b""
                self._on_message(self, message)
        except (ValueError, KeyError, TypeError):  # not a message of ours
            self.close()

    def fileno(self) -> int:
        """Return the socket's descriptor."""
        return self._socket.fileno()

    def is_idle(self) -> bool:
        """Whether all that was read has been understood."""
        return self.greeted and not self._lines.rest and not self.fds

    def detach(self) -> tuple[lean.Socket, bytes]:
        """Hand over the socket and the bytes read beyond the last message."""
        self._loop.forget(self._socket.fileno())
        self._open = False
        self._on_gone(self)
        return self._socket, self._lines.rest

    def close(self) -> None:
        """Drop the connection."""
        if self._open:
            self._open = False
            self._loop.forget(self._socket.fileno())
            self._socket.close()
            self._on_gone(self)


class Attachment:
    """A client of the process's streams; an ``Output`` of Stdio.

    *source*: its connection, and what has been read of it already.
    """

    def __init__(
        self,
        loop: Loop,
        source: tuple[lean.Socket, bytes],
        stdio: Stdio,
        request: protocol.Message,
        on_gone: Callable[[Attachment], None],
    ) -> None:
        self._loop = loop
        self._stdio = stdio
        self._on_gone = on_gone
        self._streams = {
            stream
            for stream, name in ((protocol.STDOUT, "stdout"), (protocol.STDERR, "stderr"))
            if request.get(name)
        }
        self._sends_stdin = bool(request.get("stdin"))
        self.closes_stdin = self._sends_stdin and bool(request.get("stdin_once"))
        self._waiting: deque[bytes] = deque()
        self._size = 0
        self._open = True
        self._reading = True
        self._ending = False
        self._socket, rest = source
        self._socket.settimeout(0)
        self._frames = protocol.FrameReader()
        self._take(rest)
        self.refresh()

    def output(self, stream: int, chunk: bytes) -> None:
        """Queue *chunk*; try to send it."""
        if self._open and stream in self._streams:
            self._waiting.append(protocol.frame(stream, chunk))
            self._size += len(chunk)
            if len(self._waiting) == 1:
                self._flush()

    def reply(self, message: protocol.Message) -> None:
        """Answer the request that made this attachment, before any frame."""
        self._waiting.append(protocol.encode(message))
        self._flush()

    def full(self) -> bool:
        """Whether the process should wait for this client."""
        return self._open and self._size > HIGH_WATER

    def refresh(self) -> None:
        """Watch what there is a use for now."""
        if self._open:
            read = (
                IN if self._reading and not (self._sends_stdin and self._stdio.stdin_full()) else 0
            )
            write = OUT if self._waiting else 0
            self._loop.watch(self._socket.fileno(), read | write, self._ready)

    def finish(self) -> None:
        """No more output will come: close once all is sent."""
        self._ending = True
        if not self._waiting:
            self.close()

    def _ready(self, events: int) -> None:
        if events & OUT:
            self._flush()
        if events & ~OUT and self._open:
            self._read()

    def _read(self) -> None:
        try:
            chunk = self._socket.recv(READ_SIZE)
        except BlockingIOError:
            return
        except OSError:
            self.close()
            return
        if not chunk:
            self.close()
            return
        self._take(chunk)
        self.refresh()

    def _take(self, chunk: bytes) -> None:
        for stream, payload in self._frames.feed(chunk):
            if stream == protocol.STDIN and self._sends_stdin:
                if payload:
                    self._stdio.write_stdin(payload)
                else:
                    self._input_ends()

    def _input_ends(self) -> None:
        if self._sends_stdin:
            self._sends_stdin = False
            if self.closes_stdin:
                self._stdio.close_stdin()

    def _flush(self) -> None:
        was_full = self.full()
        while self._waiting:
            try:
                sent = self._socket.send(self._waiting[0])
            except BlockingIOError:
                break
            except OSError:
                self.close()
                return
            if sent < len(self._waiting[0]):
                self._waiting[0] = self._waiting[0][sent:]
            else:
                self._waiting.popleft()
        self._size = sum(map(len, self._waiting))
        if not self._waiting and self._ending:
            self.close()
            return
        self.refresh()
        if was_full and not self.full():
            self._stdio.refresh()

    def close(self) -> None:
        """Drop the client; counts as the end of its input."""
        if not self._open:
            return
        self._open = False
        self._loop.forget(self._socket.fileno())
        self._socket.close()
        self._waiting.clear()
        self._size = 0
        self._on_gone(self)
        self._input_ends()
        self._stdio.refresh()
