"""Wall clock for records, monotonic for durations, RFC 3339 with nanoseconds as Go writes it."""

from __future__ import annotations

import re
import time
from datetime import UTC, datetime
from typing import Final

ZERO: Final = "0001-01-01T00:00:00Z"  # Go's zero time: "never"

_RFC3339: Final = re.compile(
    r"(\d{4})-(\d\d)-(\d\d)[Tt ](\d\d):(\d\d):(\d\d)(?:[.,](\d{1,9})\d*)?([Zz]|[+-]\d\d:\d\d)\Z"
)


def now_ns() -> int:
    """Return the wall clock in nanoseconds since the epoch."""
    return time.time_ns()


def monotonic() -> float:
    """Return seconds that never go back, for durations and time-outs."""
    return time.monotonic()


def rfc3339(ns: int) -> str:
    """Format nanoseconds since the epoch in UTC as Go's RFC3339Nano; 0 is Go's zero time.

    Trailing zeros of the fraction are dropped, as Go does.
    """
    if ns == 0:
        return ZERO
    seconds, fraction = divmod(ns, 1_000_000_000)
    stamp = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(seconds))
    return f"{stamp}.{fraction:09d}".rstrip("0").rstrip(".") + "Z"


def parse_rfc3339(text: str) -> int:
    """Parse RFC 3339 to nanoseconds since the epoch; Go's zero time gives 0.

    Raises: ValueError.
    """
    found = _RFC3339.match(text)
    if not found:
        message = f"not an RFC 3339 time: {text!r}"
        raise ValueError(message)
    year, month, day, hour, minute, second, fraction, zone = found.groups()
    if year == "0001":
        return 0
    whole = datetime(
        int(year), int(month), int(day), int(hour), int(minute), min(int(second), 59), tzinfo=UTC
    )
    offset = 0
    if zone not in {"Z", "z"}:
        offset = (int(zone[1:3]) * 60 + int(zone[4:6])) * 60 * (1 if zone[0] == "+" else -1)
    return (int(whole.timestamp()) - offset) * 1_000_000_000 + int((fraction or "").ljust(9, "0"))
