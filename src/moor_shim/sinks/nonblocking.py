"""``mode=non-blocking``: a log that never holds its process up, whatever it is written to.

The driver runs in a process of its own, so that a disk or a name server that hangs is its trouble
alone::

    process ──pipe──► monitor ──ring──► socket ──► writer: json-file, local, syslog, …

The ring is ``max-buffer-size`` bytes; whole lines that find no room in it are dropped, as Docker
drops messages.
"""

from __future__ import annotations

import _socket

from moor_shim import lean, protocol
from moor_shim.bare import TYPE_CHECKING, deque, exit_now, os
from moor_shim.children import Children
from moor_shim.loop import IN, OUT, Loop
from moor_shim.sinks.rotation import parse_size

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Final, NoReturn, Protocol

    class Sink(Protocol):
        """What the writer writes to."""

        def output(self, stream: int, chunk: bytes) -> None:
            """Write what was read of one stream."""

        def close(self) -> None:
            """Write what is held back, and close."""

    Maker = Callable[[protocol.Message, Loop, Children], Sink]

DEFAULT_SIZE: Final = "1000000"  # bytes; Docker's
CLOSE_S: Final = 2.0  # at the end, a writer that hangs is waited for this long
LINE_LIMIT: Final = 65536  # bytes of a line without end that are held back
_READY_S: Final = 10.0
_READY: Final = b"\0"
_READ_SIZE: Final = 65536
_FIRST_FD: Final = 3


class Ring:
    """A sink in front of another process that writes."""

    def __init__(self, loop: Loop, writer: lean.Socket, size: int) -> None:
        writer.settimeout(0)
        self._loop = loop
        self._writer = writer
        self._size = size
        self._used = 0
        self._waiting: deque[bytes] = deque()
        self._tails = {protocol.STDOUT: b"", protocol.STDERR: b""}  # lines without an end yet
        self._torn: set[int] = set()  # streams whose line has lost its beginning
        self._open = True

    def output(self, stream: int, chunk: bytes) -> None:
        """Queue the lines that *chunk* completes, as many as find room."""
        if stream in self._torn:
            _, newline, chunk = chunk.partition(b"\n")
            if not newline:
                return
            self._torn.discard(stream)
        tail = self._tails[stream]
        text = tail + chunk if tail else chunk
        end = text.rfind(b"\n") + 1
        if not end and len(text) > LINE_LIMIT:
            end = len(text)
        self._tails[stream] = text[end:]
        self._queue(stream, text[:end])
        self._flush()

    def _queue(self, stream: int, text: bytes) -> None:
        if not text:
            return  # nothing is no torn line, however full the ring is
        room = self._size - self._used  # below 0 by the header of a frame, at times
        if len(text) > room:
            whole = text.rfind(b"\n", 0, max(room, 0)) + 1
            if not text.endswith(b"\n"):
                self._torn.add(stream)
            text = text[:whole]
        if text and self._open:
            frame = protocol.frame(stream, text)
            self._waiting.append(frame)
            self._used += len(frame)

    def full(self) -> bool:
        """Return False: that is the point of it."""
        return False

    def is_idle(self) -> bool:
        """Return False: its writer would end with it."""
        return False

    def _flush(self) -> None:
        while self._waiting and self._open:
            first = self._waiting[0]
            try:
                sent = self._writer.send(first)
            except BlockingIOError:
                break
            except OSError:  # the writer has died: there is no log any more
                self._drop()
                return
            self._used -= sent
            if sent < len(first):
                self._waiting[0] = first[sent:]
            else:
                self._waiting.popleft()
        if self._open:
            self._loop.watch(self._writer.fileno(), OUT if self._waiting else 0, self._ready)

    def _ready(self, _events: int) -> None:
        self._flush()

    def _drop(self) -> None:
        if self._open:
            self._open = False
            self._loop.forget(self._writer.fileno())
            self._writer.close()
            self._waiting.clear()

    def close(self) -> None:
        """Hand over what is held back, and wait a while until it is written."""
        for stream, tail in self._tails.items():
            self._queue(stream, tail)
        if not self._open:
            return
        self._writer.settimeout(CLOSE_S)
        try:
            for frame in self._waiting:
                self._writer.sendall(frame)
            self._writer.shutdown(_socket.SHUT_WR)
            self._writer.recv(1)  # its end
        except OSError:
            pass
        self._drop()


def begin(log: protocol.Message, loop: Loop, children: Children, make: Maker) -> Ring:
    """Start the writer of the sink that *make* opens.

    Raises: ValueError (it cannot be opened: what it said), OSError.
    """
    size = parse_size(log["options"].get("max-buffer-size") or DEFAULT_SIZE)
    ours, theirs = _socket.socketpair(lean.AF_UNIX, lean.SOCK_STREAM)
    pid = os.fork()
    if pid == 0:
        _be_writer(theirs, log, make)
    theirs.close()
    children.adopt(pid)
    ours.settimeout(_READY_S)
    answer = ours.recv(_READ_SIZE)
    if answer != _READY:
        ours.close()
        raise ValueError(answer.decode() or "the log's writer has died")
    return Ring(loop, ours, size)


def _be_writer(connection: lean.Socket, log: protocol.Message, make: Maker) -> NoReturn:
    code = 1
    try:
        kept = connection.fileno()  # the monitor's others would outlive it here
        os.closerange(_FIRST_FD, kept)
        os.closerange(kept + 1, os.sysconf("SC_OPEN_MAX"))
        loop = Loop()
        try:
            sink = make(log, loop, Children(loop))
        except (OSError, ValueError) as error:
            connection.send(str(error).encode())
        else:
            connection.send(_READY)
            _write(loop, connection, sink)
            code = 0
    except BaseException:  # noqa: BLE001 - the last frame: say why, then go
        lean.append_traceback(protocol.ERROR_FILE)
    finally:
        exit_now(code)


def _write(loop: Loop, connection: lean.Socket, sink: Sink) -> None:
    """Write what comes until the monitor closes, or is gone."""
    frames = protocol.FrameReader()

    def readable(_events: int) -> None:
        chunk = connection.recv(_READ_SIZE)
        for stream, payload in frames.feed(chunk):
            sink.output(stream, payload)
        if not chunk:
            sink.close()
            loop.stop()

    loop.watch(connection.fileno(), IN, readable)
    loop.run()
