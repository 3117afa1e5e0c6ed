"""HTTP/1.1 as a client of the Engine API needs it: requests, streamed bodies, hijacked connections.

No ``http.client``: it costs more to import than a whole ``moor ps``, and hides the socket that a
hijack takes over.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from moorage.client.transport import Connection

CHUNK = 64 * 1024
IDLE_MS = 100
MAX_HEAD = 256 * 1024
BODILESS = frozenset({101, 204, 304})


class ProtocolError(OSError):
    """The peer does not speak HTTP, or hung up in the middle of an answer."""


class Wire:
    """A connection with a read buffer."""

    def __init__(self, connection: Connection) -> None:
        self.connection = connection
        self.buffer = bytearray()
        self.while_idle: Callable[[], None] | None = None  # called while nothing comes

    def fill(self) -> bool:
        """Read once; False at the end of the stream."""
        if self.while_idle is not None:
            self._wait(self.while_idle)
        received = self.connection.recv(CHUNK)
        self.buffer += received
        return bool(received)

    def _wait(self, tick: Callable[[], None]) -> None:
        from select import POLLIN, poll

        arrivals = poll()
        arrivals.register(self.connection.fileno(), POLLIN)
        while not self.connection.pending() and not arrivals.poll(IDLE_MS):
            tick()

    def line(self) -> bytes:
        """Take one line without its end."""
        while (end := self.buffer.find(b"\n")) < 0:
            if len(self.buffer) > MAX_HEAD:
                raise ProtocolError("the daemon's answer has an endless line")
            if not self.fill():
                raise ProtocolError("the daemon closed the connection in the middle of an answer")
        line = bytes(self.buffer[:end]).rstrip(b"\r")
        del self.buffer[: end + 1]
        return line

    def some(self, limit: int) -> bytes:
        """Take up to *limit* bytes, at least one unless the stream has ended."""
        if not self.buffer and not self.fill():
            return b""
        taken = bytes(self.buffer[:limit])
        del self.buffer[:limit]
        return taken


class Response:
    """Status, headers and a body that is read once, as it comes."""

    def __init__(self, wire: Wire, method: str) -> None:
        self.wire = wire
        version, _, rest = wire.line().decode("latin-1").partition(" ")
        if not version.startswith("HTTP/1."):
            raise ProtocolError("the daemon did not answer in HTTP")
        self.status = int(rest[:3])
        self.headers: dict[str, str] = {}
        while line := wire.line():
            name, _, value = line.decode("latin-1").partition(":")
            self.headers[name.strip().lower()] = value.strip()
        self.chunked = "chunked" in self.headers.get("transfer-encoding", "").lower()
        length = self.headers.get("content-length")
        self.left: int | None = int(length) if length is not None and not self.chunked else None
        if method == "HEAD" or self.status in BODILESS:
            self.chunked, self.left = False, 0
        closing = self.headers.get("connection", "").lower() == "close"
        self.reusable = not closing and (self.chunked or self.left is not None)
        self.finished = self.left == 0

    def chunks(self) -> Iterator[bytes]:
        """Yield the body in the pieces it arrives in."""
        while not self.finished:
            data = self._next_chunk() if self.chunked else self._next_plain()
            if data:
                yield data

    def read(self) -> bytes:
        """Return the whole body."""
        return b"".join(self.chunks())

    def lines(self) -> Iterator[bytes]:
        """Yield the body's lines without their ends, empty ones left out."""
        rest = b""
        for chunk in self.chunks():
            *whole, rest = (rest + chunk).split(b"\n")
            yield from (line for line in whole if line.strip())
        if rest.strip():
            yield rest

    def close(self) -> None:
        """Give up the connection and what is left of the body."""
        self.finished = True
        self.reusable = False
        self.wire.connection.close()

    def _next_plain(self) -> bytes:
        data = self.wire.some(CHUNK if self.left is None else min(self.left, CHUNK))
        if self.left is None:
            self.finished = not data
            return data
        if not data:
            raise ProtocolError("the daemon closed the connection in the middle of an answer")
        self.left -= len(data)
        self.finished = self.left == 0
        return data

    def _next_chunk(self) -> bytes:
        if not self.left:
            size = int(self.wire.line().split(b";")[0], 16)
            if size == 0:
                while self.wire.line():
                    pass  # trailers
                self.finished = True
                return b""
            self.left = size
        data = self.wire.some(min(self.left, CHUNK))
        if not data:
            raise ProtocolError("the daemon closed the connection in the middle of an answer")
        self.left -= len(data)
        if self.left == 0:
            self.wire.line()
        return data


def send_request(
    wire: Wire,
    method: str,
    target: str,
    headers: dict[str, str],
    body: bytes | Iterable[bytes] | None,
) -> None:
    """Write one request; an iterable body goes out in chunks as it is produced."""
    head = [f"{method} {target} HTTP/1.1"]
    head += [f"{name}: {_one_line(value)}" for name, value in headers.items()]
    if body is None:
        if method in {"POST", "PUT"}:
            head.append("Content-Length: 0")
        wire.connection.sendall("\r\n".join([*head, "", ""]).encode("latin-1"))
        return
    if isinstance(body, bytes):
        head.append(f"Content-Length: {len(body)}")
        wire.connection.sendall("\r\n".join([*head, "", ""]).encode("latin-1") + body)
        return
    head.append("Transfer-Encoding: chunked")
    wire.connection.sendall("\r\n".join([*head, "", ""]).encode("latin-1"))
    for piece in body:
        if piece:
            wire.connection.sendall(b"%x\r\n%b\r\n" % (len(piece), piece))
    wire.connection.sendall(b"0\r\n\r\n")


def _one_line(value: str) -> str:
    """Refuse a value that would smuggle in another header."""
    if "\r" in value or "\n" in value:
        raise ValueError("a header cannot hold a line break")
    return value
