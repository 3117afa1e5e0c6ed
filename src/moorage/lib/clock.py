"""Wall clock for records, monotonic for durations, RFC 3339 with nanoseconds as Go writes it."""

from __future__ import annotations

import time

TYPE_CHECKING = False  # typing, re and datetime would double the client's start-up time
if TYPE_CHECKING:
    from typing import Final

ZERO: Final = "0001-01-01T00:00:00Z"  # Go's zero time: "never"


def now_ns() -> int:
    """Return the wall clock in nanoseconds since the epoch."""
    return time.time_ns()


def monotonic() -> float:
    """Return seconds that never go back, for durations and time-outs."""
    return time.monotonic()


def deadline(wall_ns: int) -> float:
    """Return the monotonic time of *wall_ns*, as the clocks stand to each other now.

    Whoever waits for a moment of the wall clock asks once: it may be set while he waits.
    """
    return monotonic() + (wall_ns - now_ns()) / 1e9


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
    try:
        stamp, fraction, offset_s = _split_rfc3339(text)
    except ValueError as e:
        message = f"not an RFC 3339 time: {text!r}"
        raise ValueError(message) from e
    if stamp[0] == 1:
        return 0
    return (_epoch_seconds(stamp) - offset_s) * 1_000_000_000 + fraction


def _split_rfc3339(text: str) -> tuple[tuple[int, int, int, int, int, int], int, int]:
    """Split into the six fields of the time, nanoseconds, and seconds east of UTC."""
    if text[4:5] + text[7:8] + text[13:14] + text[16:17] != "--::" or text[10:11] not in "Tt ":
        raise ValueError(text)
    year, month, day = _digits(text[:4]), _digits(text[5:7]), _digits(text[8:10])
    hour, minute, second = _digits(text[11:13]), _digits(text[14:16]), _digits(text[17:19])
    last_day = (31, 29 if _is_leap(year) else 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)
    if not (1 <= month <= 12 and 1 <= day <= last_day[month - 1]):
        raise ValueError(text)
    if hour > 23 or minute > 59 or second > 60:  # 60: a leap second
        raise ValueError(text)
    rest, fraction = text[19:], 0
    if rest[:1] in {".", ","}:
        end = 1
        while rest[end : end + 1].isdigit():
            end += 1
        fraction = _digits(rest[1:end][:9].ljust(9, "0")) if end > 1 else _digits("")
        rest = rest[end:]
    offset_s = 0
    if rest not in {"Z", "z"}:
        if len(rest) != 6 or rest[0] not in "+-" or rest[3] != ":":
            raise ValueError(text)
        hours, minutes = _digits(rest[1:3]), _digits(rest[4:6])
        if hours > 24 or minutes > 59:
            raise ValueError(text)
        offset_s = (hours * 60 + minutes) * 60
        offset_s = -offset_s if rest[0] == "-" else offset_s
    return (year, month, day, hour, minute, min(second, 59)), fraction, offset_s


def _digits(text: str) -> int:
    if not (text.isascii() and text.isdigit()):
        raise ValueError(text)
    return int(text)


def _is_leap(year: int) -> bool:
    return year % 4 == 0 and (year % 100 != 0 or year % 400 == 0)


def _epoch_seconds(stamp: tuple[int, int, int, int, int, int]) -> int:
    """Seconds since the epoch of a proleptic Gregorian UTC time; years start in March here."""
    year, month, day, hour, minute, second = stamp
    shifted = year - (month <= 2)
    day_of_year = (153 * ((month + 9) % 12) + 2) // 5 + day - 1
    days = shifted * 365 + shifted // 4 - shifted // 100 + shifted // 400 + day_of_year - 719468
    return days * 86400 + hour * 3600 + minute * 60 + second
