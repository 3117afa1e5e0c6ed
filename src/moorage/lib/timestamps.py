"""Points in time as users of ``--since`` and ``--until`` write them (Docker's GetTimestamp)."""

from __future__ import annotations

import re
import time
from collections.abc import Sequence
from typing import Final

from moorage.lib import clock, units
from moorage.lib.errors import InvalidParameter

_UNIX: Final = re.compile(r"(-?[0-9]+)(?:\.([0-9]{1,9})[0-9]*)?\Z")
_LAST_NS: Final = (1 << 63) - 1  # as Go counts them
_LOCAL_FORMATS: Final = (
    "%Y-%m-%dT%H:%M:%S",
    "%Y-%m-%d %H:%M:%S",
    "%Y-%m-%dT%H:%M",
    "%Y-%m-%dT%H",
    "%Y-%m-%d",
)


def parse(text: str, *, now_ns: int | None = None) -> int:
    """Return nanoseconds since the epoch.

    Takes seconds ``1700000000.5``, RFC 3339 (without a zone: the local one; without a time: its
    midnight), and Go's durations ``10m``, counted back from *now_ns*.
    A time beyond 64 bits of nanoseconds (the year 2262), which clients give for "never", is the
    last that these hold.
    Raises: ValueError (also where 64 bits do not hold the seconds).
    """
    found = _parse(text, now_ns)
    if abs(found) > _LAST_NS * 1_000_000_000:
        raise ValueError(f"time out of range: {text}")
    return max(-_LAST_NS, min(found, _LAST_NS))


def _parse(text: str, now_ns: int | None) -> int:
    if found := _UNIX.match(text):
        return int(found[1]) * 1_000_000_000 + int((found[2] or "").ljust(9, "0"))
    try:
        return clock.parse_rfc3339(text)
    except ValueError:
        pass
    for form in _LOCAL_FORMATS:
        try:
            return int(time.mktime(time.strptime(text.rstrip("Zz"), form))) * 1_000_000_000
        except ValueError:
            continue
    return (clock.now_ns() if now_ns is None else now_ns) - units.parse_duration(text)


def until(values: Sequence[str]) -> int | None:
    """Return the time of a prune's ``until`` filter, None without one.

    Raises: InvalidParameter.
    """
    if len(values) > 1:
        raise InvalidParameter("more than one until filter specified")
    return earliest(values)


def earliest(values: Sequence[str]) -> int | None:
    """Return the first of the times that a filter names, None without any.

    Raises: InvalidParameter, in Docker's words.
    """
    return min((_filtered(value) for value in values), default=None)


def _filtered(text: str) -> int:
    try:
        return parse(text)
    except ValueError as error:
        raise InvalidParameter(
            f'failed to parse value as time or duration: "{text}"',
            hint="such as 24h, 2006-01-02 or 1136073845",
        ) from error
