"""The ``local`` driver: Docker's compact binary format, rotated and compressed by default.

A record is its length (4 bytes, big endian), a protocol-buffers message (source, time, line,
partial, partial metadata), and the length again, so that it can be read from the end.
"""

from __future__ import annotations

import time

from moor_shim import protocol
from moor_shim.bare import os
from moor_shim.children import Children
from moor_shim.loop import Loop
from moor_shim.sinks.lines import LineCutter, parts
from moor_shim.sinks.rotation import RotatingFile, from_options

_SOURCES = {protocol.STDOUT: b"\x0a\x06stdout", protocol.STDERR: b"\x0a\x06stderr"}


class Local:
    """Writer of one container's log."""

    def __init__(self, file: RotatingFile) -> None:
        self._file = file
        self._lines = LineCutter()
        self._part_of: dict[int, tuple[str, int]] = {}  # stream -> id of the line, parts so far

    def output(self, stream: int, chunk: bytes) -> None:
        """Write the lines that *chunk* completes."""
        lines, short = self._lines.feed(stream, chunk)
        now = time.time_ns()
        head = _SOURCES[stream] + b"\x10" + varint(now)
        if short and stream not in self._part_of:
            records = [_frame(head, line) for line in lines]
        else:
            records = [
                self._part(stream, head, part.payload, last=not part.partial)
                for line in lines
                for part in parts(line)
            ]
        for part in self._lines.overflow(stream):
            records.append(self._part(stream, head, part.payload, last=False))
        if records:
            self._file.write(b"".join(records), lambda: records)

    def _part(self, stream: int, head: bytes, payload: bytes, *, last: bool) -> bytes:
        known = self._part_of.get(stream)
        if known is None and last:
            return _frame(head, payload)
        name, ordinal = known or (os.urandom(32).hex(), 0)
        ordinal += 1
        if last:
            del self._part_of[stream]
        else:
            self._part_of[stream] = (name, ordinal)
        encoded = name.encode()
        metadata = (b"\x08\x01" if last else b"") + b"\x12" + varint(len(encoded)) + encoded
        metadata += b"\x18" + varint(ordinal)
        return _frame(head, payload, b"\x20\x01\x2a" + varint(len(metadata)) + metadata)

    def full(self) -> bool:
        """Return False: a log does not stop the process."""
        return False

    def is_idle(self) -> bool:
        """Whether no line is unfinished."""
        return self._lines.is_idle() and not self._part_of

    def close(self) -> None:
        """Write unfinished lines, and close."""
        for stream, source in _SOURCES.items():
            rest = self._lines.rest(stream)
            if rest:
                head = source + b"\x10" + varint(time.time_ns())
                record = self._part(stream, head, rest, last=True)
                self._file.write(record, lambda record=record: [record])  # type: ignore[misc]
        self._file.close()


def _frame(head: bytes, payload: bytes, tail: bytes = b"") -> bytes:
    message = head + b"\x1a" + varint(len(payload)) + payload + tail
    length = len(message).to_bytes(4, "big")
    return length + message + length


def varint(value: int) -> bytes:
    """Encode a non-negative number as protocol buffers do."""
    encoded = bytearray()
    while value > 0x7F:
        encoded.append(value & 0x7F | 0x80)
        value >>= 7
    encoded.append(value)
    return bytes(encoded)


def make(log: protocol.Message, _loop: Loop, children: Children) -> Local:
    """Open the log."""
    file = from_options(log["path"], log["options"], children, defaults=("20m", "5", "true"))
    return Local(file)
