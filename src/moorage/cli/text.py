"""Shapes of single cells: identifiers, times, shortened text."""

from __future__ import annotations

import time

from moorage.lib import clock, units

SHORT_ID = 12
ELLIPSIS = "…"


def short_id(identifier: str) -> str:
    """Return the first twelve digits, without the algorithm."""
    return identifier.rpartition(":")[2][:SHORT_ID]


def ellipsis(text: str, width: int) -> str:
    """Shorten *text* to *width* characters."""
    return text if len(text) <= width else text[: width - 1] + ELLIPSIS


def age(epoch_seconds: float) -> str:
    """Return ``3 hours ago``."""
    return units.human_duration(clock.now_ns() / 1e9 - epoch_seconds) + " ago"


def go_time(epoch_ns: int, *, local: bool = True) -> str:
    """Format as Go's ``time.Time.String``."""
    seconds, fraction = divmod(epoch_ns, 1_000_000_000)
    broken = time.localtime(seconds) if local else time.gmtime(seconds)
    digits = f".{fraction:09d}".rstrip("0") if fraction else ""
    zone = "%z %Z" if local else "+0000 UTC"
    return time.strftime(f"%Y-%m-%d %H:%M:%S{digits} {zone}", broken)


def labels(table: dict[str, str] | None) -> str:
    """Return ``key=value`` pairs in order of the keys."""
    return ",".join(f"{key}={value}" for key, value in sorted((table or {}).items()))


def natural(name: str) -> list[tuple[int, int, str]]:
    """Return a key that sorts ``net2`` before ``net10``."""
    key: list[tuple[int, int, str]] = []
    at = 0
    while at < len(name):
        end = at + 1
        digits = name[at].isdigit()
        while end < len(name) and name[end].isdigit() == digits:
            end += 1
        part = name[at:end]
        key.append((0, int(part), part) if digits and part.isascii() else (1, 0, part))
        at = end
    return key
