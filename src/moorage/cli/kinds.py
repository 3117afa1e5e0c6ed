"""The types of flag values: how docker names them in help, and how Go's parsers read them."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

REPEATABLE = frozenset(
    {
        "list",
        "strings",
        "map",
        "filter",
        "ulimit",
        "mount",
        "network",
        "stringToString",
        "ipNetSlice",
    }
)
_TRUE = frozenset({"1", "t", "T", "true", "TRUE", "True"})
_FALSE = frozenset({"0", "f", "F", "false", "FALSE", "False"})
INT64_MAX = (1 << 63) - 1
UINT16_MAX, UINT32_MAX, UINT64_MAX = (1 << 16) - 1, (1 << 32) - 1, (1 << 64) - 1
_UNPAIRED = 'extraneous or missing " in quoted-field'


def convert(kind: str, text: str) -> object:
    """Read *text* as *kind*.

    Raises: ValueError with Go's words.
    """
    reader = _READERS.get(kind)
    return text if reader is None else reader(text)


def _bool(text: str) -> bool:
    if text in _TRUE:
        return True
    if text in _FALSE:
        return False
    raise ValueError(f'strconv.ParseBool: parsing "{text}": invalid syntax')


def _int(text: str) -> int:
    return _integer(text, "strconv.ParseInt", -INT64_MAX - 1, INT64_MAX)


def _unsigned(highest: int) -> Callable[[str], int]:
    def read(text: str) -> int:
        if text.startswith(("-", "+")):
            raise ValueError(f'strconv.ParseUint: parsing "{text}": invalid syntax')
        return _integer(text, "strconv.ParseUint", 0, highest)

    return read


def _integer(text: str, function: str, low: int, high: int) -> int:
    """Read as ``strconv.ParseInt(text, 0, …)``: 0x, 0o, 0b and a leading 0 choose the base."""
    digits = text.lstrip("+-") if len(text) - len(text.lstrip("+-")) <= 1 else ""
    octal = len(digits) > 1 and digits[0] == "0" and digits.isdigit()
    try:
        value = int(text, 8 if octal else 0) if text == text.strip() else None
    except ValueError:
        value = None
    if value is None or not digits or "_" in text:
        raise ValueError(f'{function}: parsing "{text}": invalid syntax')
    if not low <= value <= high:
        raise ValueError(f'{function}: parsing "{text}": value out of range')
    return value


def _bytes(text: str) -> int:
    from moorage.lib import units

    try:
        return units.parse_bytes(text)
    except ValueError as e:
        suffix = text.lstrip("0123456789.").strip()
        reason = (
            f"invalid suffix: '{suffix}'"
            if suffix and suffix != text
            else f"invalid size: '{text}'"
        )
        raise ValueError(reason) from e


def _swap_bytes(text: str) -> int:
    return -1 if text == "-1" else _bytes(text)


def _nano_cpus(text: str) -> int:
    """Read a decimal number of CPUs to billionths."""
    from fractions import Fraction

    try:
        value = Fraction(text) * 1_000_000_000
    except (ValueError, ZeroDivisionError) as e:
        raise ValueError(f"failed to parse {text} as a rational number") from e
    if value.denominator != 1:
        raise ValueError("value is too precise")
    return int(value)


def _duration(text: str) -> int:
    from moorage.lib import units

    try:
        return units.parse_duration(text)
    except ValueError as e:
        raise ValueError(f"time: {e}") from e


def _map(text: str) -> tuple[str, str]:
    key, _, value = text.partition("=")
    return key, value


def _filter(text: str) -> tuple[str, str]:
    if "=" not in text:
        raise ValueError("bad format of filter (expected name=value)")
    key, _, value = text.partition("=")
    return key.strip().lower(), value.strip()


def _strings(text: str) -> list[str]:
    return split_csv(text) if text else []


def _pairs(text: str) -> list[tuple[str, str]]:
    pairs: list[tuple[str, str]] = []
    for field in split_csv(text):
        key, equals, value = field.partition("=")
        if not equals:
            raise ValueError(f"{field} must be formatted as key=value")
        pairs.append((key, value))
    return pairs


def split_csv(text: str) -> list[str]:
    """Split one line of RFC 4180: quotes protect commas, a doubled quote is one.

    Raises: ValueError.
    """
    if '"' not in text:
        return text.split(",")
    fields: list[str] = []
    at = 0
    while at <= len(text):
        if text[at : at + 1] != '"':
            end = text.find(",", at)
            end = len(text) if end < 0 else end
            if (quote := text.find('"', at, end)) >= 0:
                raise _csv_error(text, quote, 'bare " in non-quoted-field')
            fields.append(text[at:end])
            at = end + 1
            continue
        field, at = _quoted(text, at + 1)
        fields.append(field)
        if at < len(text) and text[at] != ",":
            raise _csv_error(text, at - 1, _UNPAIRED)
        at += 1
    return fields


def _csv_error(text: str, at: int, reason: str) -> ValueError:
    column = len(text[:at].encode("utf-8", "surrogateescape")) + 1  # Go counts bytes
    return ValueError(f"parse error on line 1, column {column}: {reason}")


def _quoted(text: str, at: int) -> tuple[str, int]:
    """Read a quoted field whose quote opened before *at*; return it and the position after."""
    out = ""
    while True:
        quote = text.find('"', at)
        if quote < 0:
            raise _csv_error(text, len(text), _UNPAIRED)
        out += text[at:quote]
        if text[quote + 1 : quote + 2] != '"':
            return out, quote + 1
        out += '"'
        at = quote + 2


_READERS: dict[str, Callable[[str], object]] = {
    "bool": _bool,
    "int": _int,
    "uint16": _unsigned(UINT16_MAX),
    "uint32": _unsigned(UINT32_MAX),
    "uint": _unsigned(UINT64_MAX),
    "ipNetSlice": _strings,
    "bytes": _bytes,
    "swap": _swap_bytes,
    "decimal": _nano_cpus,
    "duration": _duration,
    "map": _map,
    "filter": _filter,
    "strings": _strings,
    "stringToString": _pairs,
}
HELP_NAMES = {"swap": "bytes"}
