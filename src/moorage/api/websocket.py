"""WebSocket frames (RFC 6455) for attach: bytes in, events out; and the stream made of them."""

from __future__ import annotations

import base64
import hashlib
from typing import Final

from moorage.api.request import Duplex
from moorage.lib.errors import InvalidParameter

TEXT: Final = 0x1
BINARY: Final = 0x2
CLOSE: Final = 0x8
PING: Final = 0x9
PONG: Final = 0xA
_CONTROL: Final = 0x8
_MESSAGE_LIMIT: Final = 1 << 20  # bytes of one frame
_GUID: Final = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"


def accept_key(key: str) -> str:
    """Return the ``Sec-WebSocket-Accept`` for a client's key."""
    digest = hashlib.sha1(key.encode() + _GUID, usedforsecurity=False).digest()
    return base64.b64encode(digest).decode()


def frame(opcode: int, payload: bytes) -> bytes:
    """Encode one unfragmented frame of a server (unmasked)."""
    size = len(payload)
    if size < 126:
        head = bytes((0x80 | opcode, size))
    elif size < 1 << 16:
        head = bytes((0x80 | opcode, 126)) + size.to_bytes(2, "big")
    else:
        head = bytes((0x80 | opcode, 127)) + size.to_bytes(8, "big")
    return head + payload


class FrameDecoder:
    """Decoder of a client's frames."""

    __slots__ = ("_buffer",)

    def __init__(self) -> None:
        self._buffer = bytearray()

    def feed(self, data: bytes) -> list[tuple[int, bytes]]:
        """Return (opcode, payload) of every frame completed by *data*; continuations are BINARY.

        Raises: InvalidParameter.
        """
        self._buffer += data
        frames: list[tuple[int, bytes]] = []
        while (found := self._next()) is not None:
            frames.append(found)
        return frames

    def _next(self) -> tuple[int, bytes] | None:
        buffer = self._buffer
        if len(buffer) < 2:
            return None
        opcode, size, offset = buffer[0] & 0x0F, buffer[1] & 0x7F, 2
        if not buffer[1] & 0x80 or buffer[0] & 0x70:
            raise InvalidParameter("malformed WebSocket frame")
        if size >= 126:
            width = 2 if size == 126 else 8
            if len(buffer) < offset + width:
                return None
            size = int.from_bytes(buffer[offset : offset + width], "big")
            offset += width
        if size > _MESSAGE_LIMIT or (opcode & _CONTROL and size > 125):
            raise InvalidParameter("WebSocket frame too large")
        if len(buffer) < offset + 4 + size:
            return None
        mask = bytes(buffer[offset : offset + 4])
        payload = _unmask(bytes(buffer[offset + 4 : offset + 4 + size]), mask)
        del buffer[: offset + 4 + size]
        return (opcode or BINARY), payload


def _unmask(payload: bytes, mask: bytes) -> bytes:
    if not payload:
        return b""
    key = (mask * (len(payload) // 4 + 1))[: len(payload)]
    mixed = int.from_bytes(payload, "big") ^ int.from_bytes(key, "big")
    return mixed.to_bytes(len(payload), "big")


class WebSocketDuplex:
    """A raw stream seen through WebSocket frames; answers pings and the close by itself."""

    def __init__(self, raw: Duplex) -> None:
        self._raw = raw
        self._decoder = FrameDecoder()
        self._ended = False

    async def read(self) -> bytes:
        """Return the payload of the next messages; empty after the client's close."""
        while not self._ended:
            data = await self._raw.read()
            if not data:
                self._ended = True
                break
            payload = bytearray()
            for opcode, part in self._decoder.feed(data):
                if opcode == CLOSE:
                    self._ended = True
                    break
                if opcode == PING:
                    await self._raw.write(frame(PONG, part))
                elif opcode in {TEXT, BINARY}:
                    payload += part
            if payload:
                return bytes(payload)
        return b""

    async def write(self, data: bytes) -> None:
        """Send one binary message."""
        await self._raw.write(frame(BINARY, data))

    async def write_eof(self) -> None:
        """Send a normal close."""
        await self._raw.write(frame(CLOSE, (1000).to_bytes(2, "big")))

    def close(self) -> None:
        """End the connection."""
        self._raw.close()
