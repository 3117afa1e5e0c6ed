"""Cut output into lines; one longer than 16 KiB is given in parts, as Docker does."""

from __future__ import annotations

from moor_shim import protocol
from moor_shim.bare import TYPE_CHECKING

if TYPE_CHECKING:
    from typing import Final

MAX_LINE: Final = 16384  # bytes


class Line:
    """One line, or a part of one; without its newline."""

    __slots__ = ("partial", "payload")

    def __init__(self, payload: bytes, *, partial: bool) -> None:
        self.payload = payload
        self.partial = partial  # more of the line follows


class LineCutter:
    """Holds the unfinished last line of each stream."""

    def __init__(self) -> None:
        self._held = {protocol.STDOUT: b"", protocol.STDERR: b""}

    def feed(self, stream: int, chunk: bytes) -> tuple[list[bytes], bool]:
        """Return the whole lines that *chunk* completes and whether all are short.

        If not, each must go through ``parts``. An unfinished line is held until its end comes;
        a long one is returned as far as it goes once it fills 16 KiB (``parts`` sees to that).
        """
        held = self._held[stream]
        lines = (held + chunk if held else chunk).split(b"\n")
        self._held[stream] = lines.pop()
        return lines, not lines or max(map(len, lines)) <= MAX_LINE

    def overflow(self, stream: int) -> list[Line]:
        """Return parts of the held line while it is longer than a line may be."""
        parts = []
        held = self._held[stream]
        while len(held) > MAX_LINE:
            cut = _cut(held)
            parts.append(Line(held[:cut], partial=True))
            held = held[cut:]
        self._held[stream] = held
        return parts

    def is_idle(self) -> bool:
        """Whether no unfinished line is held."""
        return not any(self._held.values())

    def rest(self, stream: int) -> bytes:
        """Take what is held of *stream*: it has ended without a newline."""
        held, self._held[stream] = self._held[stream], b""
        return held


def parts(line: bytes) -> list[Line]:
    """Cut one whole line to parts of at most 16 KiB; the last is not partial."""
    result = []
    while len(line) > MAX_LINE:
        cut = _cut(line)
        result.append(Line(line[:cut], partial=True))
        line = line[cut:]
    result.append(Line(line, partial=False))
    return result


def _cut(line: bytes) -> int:
    """Return where to cut: never inside a character of UTF-8."""
    for back in range(4):
        if line[MAX_LINE - back] & 0xC0 != 0x80:
            return MAX_LINE - back
    return MAX_LINE
