"""What a route returns: values, and the few shapes that are more than "200 and JSON"."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping
from typing import Final

import msgspec

from moorage.lib.errors import MoorageError

JSON: Final = "application/json"
JSON_SEQUENCE: Final = "application/json-seq"  # RFC 7464: a mark before each document
_RECORD_MARK: Final = b"\x1e"
_NO_BODY: Final = frozenset({204, 304})
_encode: Final = msgspec.json.Encoder(decimal_format="number").encode


class Created:
    """201 with a JSON value."""

    __slots__ = ("value",)

    def __init__(self, value: object) -> None:
        self.value = value


class Accepted:
    """202 with a JSON value, or with none."""

    __slots__ = ("value",)

    def __init__(self, value: object = None) -> None:
        self.value = value


class NoContent:
    """204; or 304 if nothing was *changed* (a stop of what is stopped)."""

    __slots__ = ("changed",)

    def __init__(self, *, changed: bool = True) -> None:
        self.changed = changed


class NotModified(NoContent):
    """304: it was so already."""

    __slots__ = ()

    def __init__(self) -> None:
        super().__init__(changed=False)


class Raw:
    """Bytes as they are.

    *constant*: equal requests get the same answer, whatever happens; it may be sent from memory.
    """

    __slots__ = ("_fields", "body", "constant", "content_type", "headers", "status")

    def __init__(
        self,
        body: bytes,
        content_type: str = JSON,
        status: int = 200,
        headers: Mapping[str, str] | None = None,
        *,
        constant: bool = False,
    ) -> None:
        self.body = body
        self.constant = constant
        self.content_type = content_type
        self.status = status
        self.headers: Mapping[str, str] = headers or {}
        self._fields = ""

    @property
    def has_body(self) -> bool:
        """Whether its status allows a body."""
        return self.status not in _NO_BODY

    @property
    def fields(self) -> str:
        """The header lines of its own."""
        if not self._fields:
            lines = [f"Content-Type: {self.content_type}\r\n"] if self.content_type else []
            lines += [f"{name}: {value}\r\n" for name, value in self.headers.items()]
            if self.has_body:
                lines.append(f"Content-Length: {len(self.body)}\r\n")
            self._fields = "".join(lines)
        return self._fields


class Stream:
    """A body that comes in pieces, at the pace of the reader; ended when the client goes.

    *eager*: the head goes out at once (events, logs). Otherwise it waits for the first piece, so
    that an error before it still gets its own status (pull, load).
    """

    __slots__ = ("chunks", "content_type", "eager", "headers", "status")

    def __init__(
        self,
        content_type: str,
        chunks: AsyncIterator[bytes],
        *,
        status: int = 200,
        headers: Mapping[str, str] | None = None,
        eager: bool = True,
    ) -> None:
        self.content_type = content_type
        self.chunks = chunks
        self.status = status
        self.headers: Mapping[str, str] = headers or {}
        self.eager = eager


class JsonStream:
    """Values that come one by one, each a JSON document on a line of its own (progress, events).

    *eager* as for ``Stream``. An error behind the first value becomes the last line, in the shape
    by which clients learn of a failed pull; with *tells_all* the first may be such a line, and the
    status is 200 whatever comes.
    """

    __slots__ = ("content_type", "eager", "tells_all", "values")

    def __init__(
        self,
        values: AsyncIterator[object],
        *,
        content_type: str = JSON,
        eager: bool = False,
        tells_all: bool = False,
    ) -> None:
        self.values = values
        self.content_type = content_type
        self.eager = eager
        self.tells_all = tells_all or eager


class Hijacked:
    """The handler took the connection over; there is no response left to write."""

    __slots__ = ()


Response = Raw | Stream | Hijacked
Lower = Callable[[object], object]


def encode_json(value: object) -> bytes:
    """Encode a value with the newline that Go's encoder puts behind it."""
    return _encode(value) + b"\n"


def render(result: object, lower: Lower | None = None) -> Response:
    """Turn what a handler returned into a response; *lower* suits it to the client's version."""
    match result:
        case Raw() | Stream() | Hijacked():
            return result
        case JsonStream():
            lines = _json_lines(result, lower)
            return Stream(result.content_type, lines, eager=result.eager)
        case NoContent(changed=changed):
            return Raw(b"", "", 204 if changed else 304)
        case None:
            return Raw(b"", "", 200)
        case _:
            return _render_value(result, lower)


def _render_value(result: object, lower: Lower | None) -> Raw:
    value, status = result, 200
    if isinstance(result, Created | Accepted):
        value, status = result.value, 201 if isinstance(result, Created) else 202
    if value is None:
        return Raw(b"", "", status)
    return Raw(encode_json(value if lower is None else lower(value)), JSON, status)


async def _json_lines(stream: JsonStream, lower: Lower | None) -> AsyncIterator[bytes]:
    started = stream.tells_all
    mark = _RECORD_MARK if stream.content_type == JSON_SEQUENCE else b""
    try:
        async for value in stream.values:
            started = True
            yield mark + encode_json(value if lower is None else lower(value))
    except MoorageError as error:
        if not started:
            raise
        yield mark + encode_json({"errorDetail": {"message": str(error)}, "error": str(error)})
