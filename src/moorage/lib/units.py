"""Sizes and durations as Docker's users write and read them (go-units and Go's time package)."""

from __future__ import annotations

import re
from typing import Final

_SIZE: Final = re.compile(r"(\d+(?:\.\d+)?)\s*([kmgtp]?)(i?b?)\Z", re.IGNORECASE)
_POWERS: Final = {"": 0, "k": 1, "m": 2, "g": 3, "t": 4, "p": 5}
_DURATION_PART: Final = re.compile(r"(\d+(?:\.\d*)?|\.\d+)(ns|us|µs|μs|ms|s|m|h)")
_DURATION_NS: Final = {
    "ns": 1,
    "us": 1_000,
    "µs": 1_000,
    "μs": 1_000,
    "ms": 1_000_000,
    "s": 1_000_000_000,
    "m": 60_000_000_000,
    "h": 3_600_000_000_000,
}


def parse_bytes(text: str) -> int:
    """Parse ``64m``, ``1.5GiB``, ``100`` with powers of 1024 (go-units RAMInBytes).

    Raises: ValueError.
    """
    found = _SIZE.match(text.strip())
    if not found:
        message = f"invalid size: '{text}'"
        raise ValueError(message)
    return int(float(found[1]) * 1024 ** _POWERS[found[2].lower()])


def parse_duration(text: str) -> int:
    """Parse Go's ``1h2m3.5s`` to nanoseconds; ``0`` needs no unit.

    Raises: ValueError.
    """
    sign, rest = (-1, text[1:]) if text.startswith("-") else (1, text.removeprefix("+"))
    if rest == "0":
        return 0
    total, position = 0, 0
    for part in _DURATION_PART.finditer(rest):
        if part.start() != position:
            break
        total += round(float(part[1]) * _DURATION_NS[part[2]])
        position = part.end()
    if not rest or position != len(rest):
        message = f'invalid duration "{text}"'
        raise ValueError(message)
    return sign * total


def human_size(size: float, *, binary: bool = False, precision: int = 4) -> str:
    """Format bytes as ``1.2MB`` (go-units HumanSizeWithPrecision); *binary* gives ``1.2MiB``."""
    base, infix = (1024, "i") if binary else (1000, "")
    suffixes = ["B", *(f"{letter}{infix}B" for letter in ("K" if binary else "k") + "MGTPE")]
    index = 0
    while size >= base and index < len(suffixes) - 1:
        size /= base
        index += 1
    return f"{size:.{precision}g}{suffixes[index]}"


def human_duration(seconds: float) -> str:
    """Format an age as Docker's ``About a minute``, ``3 hours``, ``2 weeks`` (go-units)."""
    whole = int(seconds)
    minutes, hours = whole // 60, round(whole / 3600)
    steps: tuple[tuple[bool, str], ...] = (
        (whole < 1, "Less than a second"),
        (whole == 1, "1 second"),
        (whole < 60, f"{whole} seconds"),
        (minutes == 1, "About a minute"),
        (minutes < 60, f"{minutes} minutes"),
        (hours == 1, "About an hour"),
        (hours < 48, f"{hours} hours"),
        (hours < 24 * 7 * 2, f"{hours // 24} days"),
        (hours < 24 * 30 * 2, f"{hours // 24 // 7} weeks"),
        (hours < 24 * 365 * 2, f"{hours // 24 // 30} months"),
    )
    return next((text for fits, text in steps if fits), f"{hours // 24 // 365} years")
