"""Sizes and durations as Docker's users write and read them (go-units and Go's time package)."""

from __future__ import annotations

from moorage.lib import gotext

TYPE_CHECKING = False  # typing and re would double the client's start-up time
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Final

_POWERS: Final = {"": 0, "k": 1, "m": 2, "g": 3, "t": 4, "p": 5}
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
_LARGEST: Final = (1 << 63) - 1  # Go counts both in 64 bits
_NUMBER: Final = frozenset("0123456789.")


def parse_bytes(text: str) -> int:
    """Parse ``64m``, ``1.5GiB``, ``100`` with powers of 1024 (go-units RAMInBytes).

    Raises: ValueError (also where 64 bits do not hold it).
    """
    whole = text.strip()
    number, unit = _split_number(whole)
    power = unit.lower().removesuffix("b")
    if power.endswith("i"):
        power = power[:-1] if unit[-1:] in {"b", "B"} else "?"
    if power not in _POWERS or not number[:1].isdigit() or not number[-1:].isdigit():
        message = f"invalid size: '{text}'"
        raise ValueError(message)
    size = float(number) * 1024 ** _POWERS[power]
    if size > _LARGEST:
        message = f"invalid size: '{text}'"
        raise ValueError(message)
    return int(size)


def parse_duration(text: str) -> int:
    """Parse Go's ``1h2m3.5s`` to nanoseconds; ``0`` needs no unit.

    Raises: ValueError (also where 64 bits do not hold it).
    """
    sign, rest = (-1, text[1:]) if text.startswith("-") else (1, text.removeprefix("+"))
    if rest == "0":
        return 0
    total = 0
    message = f"invalid duration {gotext.quote(text)}"
    if not rest:
        raise ValueError(message)
    while rest:
        number, rest = _split_number(rest)
        if number in {"", "."}:
            raise ValueError(message)
        unit = _leading(rest, lambda char: char not in _NUMBER)
        if number.count(".") > 1 or not unit:
            message = f"missing unit in duration {gotext.quote(text)}"
            raise ValueError(message)
        if unit not in _DURATION_NS:
            message = f"unknown unit {gotext.quote(unit)} in duration {gotext.quote(text)}"
            raise ValueError(message)
        nanoseconds = float(number) * _DURATION_NS[unit]
        if total + nanoseconds > _LARGEST:
            raise ValueError(message)
        total += round(nanoseconds)
        rest = rest[len(unit) :]
    return sign * total


def _split_number(text: str) -> tuple[str, str]:
    """Split the leading digits and points off *text*."""
    number = _leading(text, _NUMBER.__contains__)
    return number, text[len(number) :]


def _leading(text: str, wanted: Callable[[str], bool]) -> str:
    """Return the characters at the beginning that are *wanted*."""
    end = 0
    while end < len(text) and wanted(text[end]):
        end += 1
    return text[:end]


def human_size(size: float, *, binary: bool = False, precision: int = 4) -> str:
    """Format bytes as ``1.2MB`` (go-units HumanSizeWithPrecision); *binary* gives ``1.2MiB``."""
    base, infix = (1024, "i") if binary else (1000, "")
    suffixes = ["B", *(f"{letter}{infix}B" for letter in ("K" if binary else "k") + "MGTPE")]
    index = 0
    while size >= base and index < len(suffixes) - 1:
        size /= base
        index += 1
    return f"{size:.{precision}g}{suffixes[index]}"


_LONG: Final = (  # below so many hours: the hours of a unit, and its name
    (48, 1, "hours"),
    (24 * 7 * 2, 24, "days"),
    (24 * 30 * 2, 24 * 7, "weeks"),
    (24 * 365 * 2, 24 * 30, "months"),
    (float("inf"), 24 * 365, "years"),
)


def human_duration(seconds: float) -> str:
    """Format an age as Docker's ``About a minute``, ``3 hours``, ``2 weeks`` (go-units)."""
    whole = int(seconds)
    if whole < 1:
        return "Less than a second"
    if whole < 60:
        return "1 second" if whole == 1 else f"{whole} seconds"
    minutes = whole // 60
    if minutes < 60:
        return "About a minute" if minutes == 1 else f"{minutes} minutes"
    hours = round(whole / 3600)
    if hours == 1:
        return "About an hour"
    hours_of, unit = next((size, unit) for below, size, unit in _LONG if hours < below)
    return f"{hours // hours_of} {unit}"
