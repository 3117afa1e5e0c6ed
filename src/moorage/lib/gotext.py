"""How Go writes values as text: what Docker's own lines were printed with.

The client's quickest commands load this: it imports nothing.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

_SIMPLE = {
    "\n": "\\n", "\t": "\\t", "\r": "\\r", '"': '\\"', "\\": "\\\\",
    "\a": "\\a", "\b": "\\b", "\f": "\\f", "\v": "\\v",
}  # fmt: skip
_UNITS = (("ns", 1), ("µs", 1_000), ("ms", 1_000_000))


def quote(text: str) -> str:
    """Quote as ``strconv.Quote``."""
    if text.isprintable() and '"' not in text and "\\" not in text:
        return f'"{text}"'
    return '"' + "".join(_quoted(char) for char in text) + '"'


def quoted(values: Iterable[str]) -> str:
    """Write a slice of strings as ``%q`` does: ``["a" "b c"]``."""
    return f"[{' '.join(map(quote, values))}]"


def duration(ns: int) -> str:
    """Write as ``time.Duration.String``: ``1h0m30s``, ``1.5s``, ``250ms``, ``0s``."""
    if ns < 0:
        return "-" + duration(-ns)
    if ns == 0:
        return "0s"
    if ns < 1_000_000_000:
        name, size = next(unit for unit in reversed(_UNITS) if ns >= unit[1])
        return f"{_decimal(ns, size)}{name}"
    minutes, rest = divmod(ns, 60_000_000_000)
    seconds = f"{_decimal(rest, 1_000_000_000)}s"
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours}h{minutes}m{seconds}"
    return f"{minutes}m{seconds}" if minutes else seconds


def _decimal(value: int, size: int) -> str:
    whole, fraction = divmod(value, size)
    digits = str(fraction).zfill(len(str(size)) - 1).rstrip("0")
    return f"{whole}.{digits}" if digits else str(whole)


def _quoted(char: str) -> str:
    if char in _SIMPLE:
        return _SIMPLE[char]
    if char.isprintable():
        return char
    code = ord(char)
    if code < 0x80:
        return f"\\x{code:02x}"
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"
