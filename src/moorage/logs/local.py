"""Reading the ``local`` format; its writer is ``moor_shim.sinks.local``."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Final

from msgspec import Struct

_LENGTH: Final = 4  # bytes before and after each record
_MAX_RECORD: Final = 1 << 20
_SOURCE, _TIME, _LINE, _PARTIAL, _METADATA = 1, 2, 3, 4, 5  # field numbers
_VARINT, _BYTES = 0, 2  # wire types
_VARINT_BITS: Final = 64
_LAST: Final = 1  # field of the partial metadata


class LocalEntry(Struct, frozen=True, kw_only=True, gc=False):
    """One record."""

    stream: str
    time_ns: int
    line: bytes
    more: bool  # the line goes on in the next record

    @property
    def text(self) -> bytes:
        """The line, with the newline that the format leaves out."""
        return self.line if self.more else self.line + b"\n"

    @property
    def attributes(self) -> Mapping[str, str]:
        """None are stored: the format has no room for them."""
        return {}


class Local:
    """The codec: each record stands between two copies of its length."""

    def whole(self, buffer: bytes) -> int:
        """Return the length of the whole records."""
        at = 0
        for _, end in _records(buffer):
            at = end
        return at

    def decode(self, records: bytes) -> Sequence[LocalEntry]:
        """Read whole records."""
        entries = []
        for message, _ in _records(records):
            try:
                entries.append(_entry(message))
            except (IndexError, ValueError):
                continue
        return entries

    def texts(self, entries: Iterable[LocalEntry]) -> list[bytes]:
        """Return the lines."""
        return [entry.text for entry in entries]

    def tail(self, content: bytes, count: int) -> tuple[int, int]:
        """Return where the last *count* records begin, and how many there are."""
        at = len(content)
        found = 0
        while found < count and at >= 2 * _LENGTH:
            length = int.from_bytes(content[at - _LENGTH : at], "big")
            start = at - 2 * _LENGTH - length
            if start < 0 or content[start : start + _LENGTH] != content[at - _LENGTH : at]:
                break
            at = start
            found += 1
        return at, found


def _records(buffer: bytes) -> Iterator[tuple[bytes, int]]:
    """Yield (message, where its record ends); a torn end is left alone."""
    at = 0
    while len(buffer) - at >= 2 * _LENGTH:
        length = int.from_bytes(buffer[at : at + _LENGTH], "big")
        end = at + 2 * _LENGTH + length
        if end > len(buffer) or length > _MAX_RECORD:
            return
        yield buffer[at + _LENGTH : end - _LENGTH], end
        at = end


def _entry(message: bytes) -> LocalEntry:
    fields = dict(_fields(message))
    source, line = fields.get(_SOURCE, b""), fields.get(_LINE, b"")
    metadata = fields.get(_METADATA, b"")
    when = fields.get(_TIME, 0)
    if isinstance(source, int) or isinstance(line, int) or isinstance(metadata, int):
        raise ValueError("a number where bytes should be")  # noqa: TRY004 - bad value, not type
    last = bool(dict(_fields(metadata)).get(_LAST))
    return LocalEntry(
        stream=source.decode("ascii", "replace"),
        time_ns=when if isinstance(when, int) else 0,
        line=line,
        more=bool(fields.get(_PARTIAL)) and not last,
    )


def _fields(message: bytes) -> Iterator[tuple[int, int | bytes]]:
    """Yield the (number, value) of a protocol-buffers message.

    Raises: IndexError, ValueError (not one).
    """
    at = 0
    while at < len(message):
        key, at = _varint(message, at)
        value, at = _varint(message, at)
        if key & 7 == _VARINT:
            yield key >> 3, value
        elif key & 7 == _BYTES:
            if at + value > len(message):
                raise ValueError("field beyond its message")
            yield key >> 3, message[at : at + value]
            at += value
        else:
            raise ValueError("unknown wire type")


def _varint(message: bytes, at: int) -> tuple[int, int]:
    value = 0
    for shift in range(0, _VARINT_BITS, 7):
        byte = message[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, at
    raise ValueError("a number without end")
