"""``--since`` and ``--until``: ages, Unix times, and dates with as many parts as one likes."""

from __future__ import annotations

import time

from moorage.cli.failure import CommandError
from moorage.lib import clock, units

_SHAPES = (
    "%Y-%m-%dT%H:%M:%S",
    "%Y-%m-%d %H:%M:%S",
    "%Y-%m-%dT%H:%M",
    "%Y-%m-%dT%H",
    "%Y-%m-%d",
    "%Y-%m",
)


def parse(text: str, flag: str = "") -> str:
    """Return seconds since the epoch with a fraction, as the API takes them; empty stays empty.

    *flag* is what the message of a failure names.

    Raises: CommandError.
    """
    if not text:
        return ""
    seconds, point, fraction = text.partition(".")
    if seconds.isdigit() and (not point or fraction.isdigit()):
        return text
    try:
        return _seconds(clock.now_ns() - units.parse_duration(text))
    except ValueError:
        pass
    found = _date(text)
    if found is None:
        named = f'invalid value for "{flag}": ' if flag else ""
        reason = f'failed to parse value as time or duration: "{text}"'
        raise CommandError(named + reason)
    return found


def _date(text: str) -> str | None:
    try:
        return _seconds(clock.parse_rfc3339(text))
    except ValueError:
        pass
    whole, point, fraction = text.partition(".")
    for shape in _SHAPES:
        zoned = shape + "%z"
        for pattern in (zoned, shape):
            try:
                broken = time.strptime(whole, pattern)
            except ValueError:
                continue
            offset = broken.tm_gmtoff if pattern == zoned else None
            local = time.mktime(broken)
            seconds = local if offset is None else local - time.timezone - offset
            nanoseconds = int(fraction.ljust(9, "0")[:9]) if point and fraction.isdigit() else 0
            return _seconds(int(seconds) * 1_000_000_000 + nanoseconds)
    return None


def _seconds(nanoseconds: int) -> str:
    return f"{nanoseconds // 1_000_000_000}.{nanoseconds % 1_000_000_000:09d}"
