"""The chunked transfer coding, strictly (RFC 9112, 7.1): bytes in, bytes out, no I/O.

What is not exactly the grammar is an error: two readers that differ here are how requests are
smuggled.
"""

from __future__ import annotations

import re
from typing import Final

from moorage.lib.errors import InvalidParameter

_SIZE_LINE: Final = re.compile(rb"([0-9A-Fa-f]{1,15})(?:[ \t]*;[^\r\n]*)?\Z")
_LINE_LIMIT: Final = 4096
_TRAILER_LIMIT: Final = 16 * 1024


class ChunkedDecoder:
    """Decoder of one body. ``feed`` keeps what is incomplete; ``rest`` lay behind the end."""

    __slots__ = ("_buffer", "_left", "_trailer", "done", "rest")

    def __init__(self) -> None:
        self._buffer = b""
        self._left = (
            0  # bytes of the current chunk, CRLF behind it included; 0 = a size line is next
        )
        self._trailer = 0  # bytes of trailer seen; more than 0 = behind the last chunk
        self.done = False
        self.rest = b""

    def feed(self, data: bytes) -> list[bytes]:
        """Decode *data*; return the pieces of body in it.

        Raises: InvalidParameter.
        """
        buffer = self._buffer + data if self._buffer else data
        out: list[bytes] = []
        position = 0
        while not self.done and position < len(buffer):
            if self._left:
                taken = self._take_chunk(buffer, position, out)
            else:
                taken = self._take_line(buffer, position)
            if not taken:
                break
            position += taken
        remaining = buffer[position:]
        if self.done:
            self.rest, self._buffer = remaining, b""
        else:
            self._buffer = remaining
        return out

    def _take_chunk(self, buffer: bytes, position: int, out: list[bytes]) -> int:
        available = len(buffer) - position
        body = self._left - 2
        if body > 0:
            taken = min(body, available)
            out.append(buffer[position : position + taken])
            self._left -= taken
            return taken
        if available < self._left:
            return 0
        if buffer[position : position + 2] != b"\r\n":
            raise InvalidParameter("malformed chunked encoding: a chunk is not followed by CRLF")
        self._left = 0
        return 2

    def _take_line(self, buffer: bytes, position: int) -> int:
        end = buffer.find(b"\r\n", position, position + _LINE_LIMIT)
        if end < 0:
            if len(buffer) - position >= _LINE_LIMIT:
                raise InvalidParameter("malformed chunked encoding: line too long")
            return 0
        line = buffer[position:end]
        taken = end + 2 - position
        if self._trailer:
            self._take_trailer(line, taken)
            return taken
        found = _SIZE_LINE.match(line)
        if not found:
            raise InvalidParameter("malformed chunked encoding: invalid chunk size")
        size = int(found[1], 16)
        if size:
            self._left = size + 2
        else:
            self._trailer = 1
        return taken

    def _take_trailer(self, line: bytes, taken: int) -> None:
        self._trailer += taken
        if not line:
            self.done = True
        elif self._trailer > _TRAILER_LIMIT:
            raise InvalidParameter("malformed chunked encoding: trailer too long")
