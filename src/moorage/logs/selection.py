"""What part of a log is wanted, and how it is shown: Docker's ``logs`` options."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Iterator, Mapping
from operator import attrgetter
from typing import Final, Protocol, TypeVar
from urllib.parse import quote_plus

from msgspec import Struct

from moorage.lib import clock

Run = tuple[int, list[bytes]]
"""Records one after the other from one stream, 1 stdout or 2 stderr: SDKs take each for a line."""

STREAMS: Final = {"stdout": 1, "stderr": 2}
_NANOSECONDS: Final = 9  # digits


class Selection(Struct, frozen=True, kw_only=True):
    """The options; times in nanoseconds since the epoch, 0 = no limit."""

    follow: bool = False
    stdout: bool = True
    stderr: bool = True
    since_ns: int = 0
    until_ns: int = 0
    tail: int | None = None  # records, counted before the streams are chosen; None = all
    timestamps: bool = False
    details: bool = False

    def keeps(self, entry: Entry) -> bool:
        """Whether *entry* is wanted."""
        if not (self.stdout if entry.stream == "stdout" else self.stderr):
            return False
        if not self.since_ns and not self.until_ns:
            return True
        when = entry.time_ns
        return when >= self.since_ns and (not self.until_ns or when <= self.until_ns)

    @property
    def keeps_all(self) -> bool:
        """Whether no entry need be looked at."""
        return self.stdout and self.stderr and not self.since_ns and not self.until_ns


class Entry(Protocol):
    """One record of a log."""

    @property
    def stream(self) -> str:
        """``stdout`` or ``stderr``."""

    @property
    def text(self) -> bytes:
        """The line with its newline; a part of a long line without."""

    @property
    def time_ns(self) -> int:
        """When it was written."""

    @property
    def attributes(self) -> Mapping[str, str]:
        """What ``--details`` shows."""


E = TypeVar("E", bound=Entry)


def render(
    entries: Iterable[E], selection: Selection, texts: Callable[[Iterable[E]], list[bytes]]
) -> Iterator[Run]:
    """Yield as few runs as possible: as many records as come from one stream.

    *texts* is the codec's, for the usual case that nothing is put before the lines.
    """
    wanted = entries if selection.keeps_all else filter(selection.keeps, entries)
    plain = not selection.timestamps and not selection.details
    for stream, group in itertools.groupby(wanted, key=attrgetter("stream")):
        number = STREAMS.get(stream, 1)
        if plain:
            yield number, texts(group)
        else:
            yield number, [_prefix(entry, selection) + entry.text for entry in group]


def _prefix(entry: Entry, selection: Selection) -> bytes:
    stamp = f"{fixed_stamp(entry.time_ns)} " if selection.timestamps else ""
    if not selection.details:
        return stamp.encode()
    pairs = sorted(entry.attributes.items())
    details = ",".join(f"{quote_plus(key)}={quote_plus(value)}" for key, value in pairs)
    return f"{stamp}{details} ".encode()


def fixed_stamp(ns: int) -> str:
    """Return RFC 3339 with all nine digits, as ``--timestamps`` shows."""
    whole, _, fraction = clock.rfc3339(ns).rstrip("Z").partition(".")
    return f"{whole}.{fraction.ljust(_NANOSECONDS, '0')}Z"
