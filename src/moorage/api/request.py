"""One request as handlers see it; what lies under it (sockets, framing) is ``connection.py``'s."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from typing import Final, Protocol
from urllib.parse import parse_qsl

import msgspec

from moorage.api.head import Head
from moorage.api.httpstatus import HttpError
from moorage.api.inbox import Inbox
from moorage.lib.errors import InvalidParameter

JSON_BODY_LIMIT: Final = 8 << 20  # bytes; the largest JSON body taken into memory
_MAX_QUERY_FIELDS: Final = 2000


class Duplex(Protocol):
    """A byte stream both ways, taken out of HTTP by a hijack or a WebSocket."""

    async def read(self) -> bytes:
        """Return what arrived, waiting for it; empty once the client has half-closed."""
        ...

    async def write(self, data: bytes) -> None:
        """Send *data* at the client's pace. Raises: ConnectionError, if it has gone."""
        ...

    async def write_eof(self) -> None:
        """Send what waits, and the end of our side."""
        ...

    def close(self) -> None:
        """End both sides."""
        ...


class Channel(Protocol):
    """What a request needs of its connection."""

    def continue_body(self) -> None:
        """Answer ``Expect: 100-continue`` once, before the body is first read."""
        ...

    async def hijack(self, content_type: str, *, upgrade: str) -> Duplex:
        """Take the connection out of HTTP; *upgrade* names what it becomes, "" answers 200."""
        ...

    async def websocket(self, key: str, protocol: str | None) -> Duplex:
        """Turn the connection into a WebSocket."""
        ...

    @property
    def is_disconnected(self) -> bool:
        """Whether the client has gone."""
        ...


class Peer(msgspec.Struct, frozen=True):
    """Who is at the other end, as far as the socket tells."""

    kind: str  # "unix", "tcp", "tls"
    address: str = ""
    certificate_subject: str = ""  # common name of a verified client certificate


class Request:
    """A request whose head has been read; its body comes by ``read`` or ``body_stream``."""

    __slots__ = (
        "_channel",
        "_inbox",
        "_query",
        "_replayed",
        "body_length",
        "headers",
        "method",
        "path",
        "peer",
        "raw_query",
        "version",
    )

    def __init__(self, head: Head, peer: Peer, inbox: Inbox | None, channel: Channel) -> None:
        self.method = head.method
        self.version = head.version
        self.path = head.path
        self.raw_query = head.query
        self.headers: Mapping[str, str] = head.headers
        self.body_length = head.length  # 0 = no body, None = chunked
        self.peer = peer
        self._inbox = inbox
        self._channel = channel
        self._query: dict[str, list[str]] | None = None
        self._replayed = b"" if inbox is None else None

    @property
    def query(self) -> dict[str, list[str]]:
        """The query parameters, decoded, in order.

        Raises: InvalidParameter.
        """
        if self._query is None:
            self._query = parse_query(self.raw_query)
        return self._query

    @property
    def is_disconnected(self) -> bool:
        """Whether the client has gone."""
        return self._channel.is_disconnected

    def _wants_upgrade(self, protocol: str) -> bool:
        """Whether the client sent ``Connection: Upgrade`` with ``Upgrade:`` *protocol*."""
        tokens = self.headers.get("connection", "").lower().replace(" ", "").split(",")
        return "upgrade" in tokens and self.headers.get("upgrade", "").lower() == protocol

    async def body_stream(self) -> AsyncIterator[bytes]:
        """Yield the body as it arrives; the socket is read only as fast as this is."""
        if self._inbox is None or self._replayed is not None:
            data, self._replayed = self._replayed, b""
            if data:
                yield data
            return
        self._channel.continue_body()
        while data := await self._inbox.read():
            yield data

    async def read(self, limit: int = JSON_BODY_LIMIT) -> bytes:
        """Return the whole body; it can be read again afterwards (authorisation reads it first).

        Raises: HttpError 413, if it is longer than *limit*.
        """
        if self._replayed is not None:
            return self._replayed
        if self.body_length is not None and self.body_length > limit:
            raise HttpError(413, f"request body of {self.body_length} bytes is over {limit}")
        parts: list[bytes] = []
        size = 0
        async for part in self.body_stream():
            size += len(part)
            if size > limit:
                raise HttpError(413, f"request body is over {limit} bytes")
            parts.append(part)
        self._replayed = b"".join(parts)
        return self._replayed

    async def hijack(self, *, content_type: str = "", protocol: str = "tcp") -> Duplex:
        """Take the connection over: 101 UPGRADED if the client asked for *protocol*, else 200.

        What the client sends from here on is the stream's, what is written reaches it raw.
        """
        upgrade = protocol if self._wants_upgrade(protocol) else ""
        return await self._channel.hijack(content_type, upgrade=upgrade)

    async def websocket(self) -> Duplex:
        """Take the connection over as a WebSocket with binary messages.

        Raises: InvalidParameter, if the client did not ask for one.
        """
        key = self.headers.get("sec-websocket-key", "")
        if self.headers.get("upgrade", "").lower() != "websocket" or not key:
            raise InvalidParameter("this endpoint speaks WebSocket only")
        if self.headers.get("sec-websocket-version", "13") != "13":
            raise InvalidParameter(
                "unsupported WebSocket version", hint="version 13 is spoken here"
            )
        return await self._channel.websocket(key, self.headers.get("sec-websocket-protocol"))


def parse_query(raw: str) -> dict[str, list[str]]:
    """Decode a query string.

    Raises: InvalidParameter.
    """
    if not raw:
        return {}
    if ";" in raw:  # Go drops such a pair: an authorisation plugin would see another query
        raise InvalidParameter("invalid semicolon separator in query")
    try:
        pairs = parse_qsl(
            raw, keep_blank_values=True, max_num_fields=_MAX_QUERY_FIELDS, errors="strict"
        )
    except ValueError as error:
        raise InvalidParameter(f"invalid query string: {error}") from error
    query: dict[str, list[str]] = {}
    for name, value in pairs:
        query.setdefault(name, []).append(value)
    return query
