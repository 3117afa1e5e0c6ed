"""What a driver's format must tell: where records end, what they say. Protocol code: no I/O."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Protocol, TypeVar

from moorage.logs.selection import Entry

E = TypeVar("E", bound=Entry)


class Codec(Protocol[E]):
    """One format of log files."""

    def whole(self, buffer: bytes) -> int:
        """Return how many of the bytes are whole records."""

    def decode(self, records: bytes) -> Sequence[E]:
        """Read whole records; what is corrupt is left out."""

    def texts(self, entries: Iterable[E]) -> list[bytes]:
        """Return the text of each."""

    def tail(self, content: bytes, count: int) -> tuple[int, int]:
        """Return (where the last *count* records begin, how many there are from there)."""
