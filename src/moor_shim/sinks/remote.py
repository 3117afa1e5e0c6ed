"""Logs that go to a server: lines to messages, a bounded buffer, connecting again."""

from __future__ import annotations

import _socket
import time
from collections import deque
from typing import Final, Protocol
from urllib.parse import urlsplit

from moor_shim import protocol
from moor_shim.loop import IN, OUT, Loop
from moor_shim.sinks.lines import Line, LineCutter, parts
from moor_shim.sinks.rotation import parse_size

BUFFER: Final = 1 << 20  # bytes kept for a server that is away or slow; newer lines are dropped
RETRY_FIRST_S: Final = 0.5
RETRY_LAST_S: Final = 30.0
CLOSE_S: Final = 0.5  # what is buffered at the end is waited for this long
_EAGAIN: Final = {11, 115}  # EAGAIN, EINPROGRESS


class Encoder(Protocol):
    """The format of one driver."""

    def encode(self, stream: int, line: Line, now_ns: int) -> list[bytes]:
        """Return the message of a line, in one or more datagrams."""


class Address:
    """Where to send: ``udp://host:port``, ``tcp://…``, ``unix:///path``, ``unixgram:///path``."""

    def __init__(self, text: str, *, default_port: int) -> None:
        parts_ = urlsplit(text if "://" in text else f"tcp://{text}")
        self.scheme = parts_.scheme
        if self.scheme not in {"tcp", "udp", "unix", "unixgram"}:
            raise ValueError(f"unsupported log address: {text}")
        self.datagram = self.scheme in {"udp", "unixgram"}
        self._path = parts_.path
        self._host = parts_.hostname or "127.0.0.1"
        self._port = parts_.port or default_port

    def connect(self) -> _socket.socket:
        """Begin to connect.

        Raises: OSError.
        """
        kind = _socket.SOCK_DGRAM if self.datagram else _socket.SOCK_STREAM
        if self.scheme.startswith("unix"):
            connection = _socket.socket(_socket.AF_UNIX, kind)
            connection.settimeout(0)
            error = connection.connect_ex(self._path)
        else:
            found = _socket.getaddrinfo(self._host, self._port, 0, kind)[0]
            connection = _socket.socket(found[0], kind)
            connection.settimeout(0)
            error = connection.connect_ex(found[4])
        if error and error not in _EAGAIN:
            connection.close()
            raise OSError(error, "cannot connect")
        return connection


class Remote:
    """A sink; the server's troubles never reach the process."""

    def __init__(
        self, loop: Loop, address: Address, encoder: Encoder, options: dict[str, str]
    ) -> None:
        self._loop = loop
        self._address = address
        self._encoder = encoder
        self._lines = LineCutter()
        size = options.get("max-buffer-size")
        self._limit = parse_size(size) if size else BUFFER
        self._waiting: deque[bytes] = deque()
        self._size = 0
        self._connection: _socket.socket | None = None
        self._retry_s = RETRY_FIRST_S
        self._closing = False
        self._connect()

    def output(self, stream: int, chunk: bytes) -> None:
        """Send the lines that *chunk* completes."""
        lines, _ = self._lines.feed(stream, chunk)
        cut = [part for line in lines for part in parts(line)] + self._lines.overflow(stream)
        self._queue(stream, cut)

    def _queue(self, stream: int, lines: list[Line]) -> None:
        now = time.time_ns()
        for line in lines:
            for message in self._encoder.encode(stream, line, now):
                if self._size + len(message) <= self._limit:
                    self._waiting.append(message)
                    self._size += len(message)
        self._flush()

    def full(self) -> bool:
        """Return False: a log does not stop the process."""
        return False

    def is_idle(self) -> bool:
        """Return False: a connection to a server is kept."""
        return False

    def _connect(self) -> None:
        if self._closing:
            return
        try:
            self._connection = self._address.connect()
        except OSError:
            self._retry()
            return
        self._watch()

    def _retry(self) -> None:
        self._disconnect()
        self._loop.after(self._retry_s, self._connect)
        self._retry_s = min(self._retry_s * 2, RETRY_LAST_S)

    def _watch(self) -> None:
        if self._connection is not None:
            mask = (0 if self._address.datagram else IN) | (OUT if self._waiting else 0)
            self._loop.watch(self._connection.fileno(), mask, self._ready)

    def _ready(self, events: int) -> None:
        if events & IN and self._connection is not None:
            try:
                if not self._connection.recv(4096):  # answers are of no interest
                    self._retry()
            except BlockingIOError:
                pass
            except OSError:
                self._retry()
        self._flush()

    def _flush(self) -> None:
        while self._waiting and self._connection is not None:
            message = self._waiting[0]
            try:
                sent = self._connection.send(message)
            except BlockingIOError:
                break
            except OSError as error:
                if not self._address.datagram and error.errno == _ENOTCONN:
                    break  # still connecting
                if self._address.datagram and error.errno == _EMSGSIZE:
                    self._drop_first()
                    continue
                self._retry()
                return
            self._retry_s = RETRY_FIRST_S
            self._size -= sent
            if sent < len(message):
                self._waiting[0] = message[sent:]
            else:
                self._waiting.popleft()
        self._watch()

    def _drop_first(self) -> None:
        self._size -= len(self._waiting.popleft())

    def _disconnect(self) -> None:
        if self._connection is not None:
            self._loop.forget(self._connection.fileno())
            self._connection.close()
            self._connection = None

    def close(self) -> None:
        """Send unfinished lines and what is buffered, for a short time only."""
        for stream in (protocol.STDOUT, protocol.STDERR):
            rest = self._lines.rest(stream)
            if rest:
                self._queue(stream, [Line(rest, partial=False)])
        self._closing = True
        if self._connection is not None and self._waiting:
            self._connection.settimeout(CLOSE_S)
            try:
                for message in self._waiting:
                    self._connection.sendall(message)
            except OSError:
                pass
        self._disconnect()


_ENOTCONN: Final = 107
_EMSGSIZE: Final = 90

Tags = dict[str, str]


def tag_of(log: protocol.Message) -> str:
    """Return the tag: given, or the container's short id."""
    tags: Tags = log["tags"]
    return tags.get("tag") or tags.get("id", "")[:12]
