"""Go's ``fmt``: ``%v`` of everything, and ``printf``."""

from __future__ import annotations

from moorage.cli.row import Row
from moorage.cli.template.values import Map, Nil, Time, type_name

EXPONENT_FROM, EXPONENT_BELOW = 6, -4
_FLAGS = frozenset("-+# 0")


def text_of(value: object, *, top: bool = True) -> str:  # noqa: PLR0911 - one for each type
    """Format as ``%v``; at the *top* of an action nothing is ``<no value>``."""
    if isinstance(value, Time):
        from moorage.cli.text import go_time
        from moorage.lib.clock import parse_rfc3339

        return go_time(parse_rfc3339(value), local=False)
    if isinstance(value, str):
        return value
    if value is None:
        return "<no value>" if top else "<nil>"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        return _float(value)
    if isinstance(value, Row):
        return text_of(Map(value.plain()), top=False)
    if isinstance(value, Map):
        pairs = (f"{key}:{_inner(value[key])}" for key in sorted(value))
        return "map[" + " ".join(pairs) + "]"
    if isinstance(value, dict):
        return "{" + " ".join(_inner(item) for item in value.values()) + "}"
    if isinstance(value, list | tuple):
        return "[" + " ".join(_inner(item) for item in value) + "]"
    return str(value)


def _inner(value: object) -> str:
    return text_of(value, top=False)


def _float(value: float) -> str:
    if value != value or value in {float("inf"), float("-inf")}:  # noqa: PLR0124 - NaN
        return {"nan": "NaN", "inf": "+Inf", "-inf": "-Inf"}[str(value)]
    digits, _, power = f"{value:.17e}".partition("e")
    for precision in range(18):  # the shortest that reads back as the same number
        digits, _, power = f"{value:.{precision}e}".partition("e")
        if float(f"{digits}e{power}") == value:
            break
    if not EXPONENT_BELOW <= int(power) < EXPONENT_FROM:
        return f"{digits}e{power}"
    decimals = max(0, len(digits.lstrip("-").replace(".", "")) - 1 - int(power))
    return f"{value:.{decimals}f}"


class _Arguments:
    """The values of one ``printf``, taken in order or by ``%[n]``."""

    def __init__(self, values: tuple[object, ...]) -> None:
        self.values = values
        self.at = 0
        self.reordered = False
        self.bad_index = False

    def take(self) -> object:
        value = self.values[self.at]
        self.at += 1
        return value

    def left(self) -> int:
        return len(self.values) - self.at

    def choose(self, pattern: str, at: int) -> int:
        """Obey a ``[n]`` at a position; return the position after it."""
        if pattern[at : at + 1] != "[":
            return at
        end = pattern.find("]", at)
        number = pattern[at + 1 : end]
        self.reordered = True
        if number.isdecimal() and 0 < int(number) <= len(self.values):
            self.at = int(number) - 1
        else:
            self.bad_index = True
        return end + 1 if end > 0 else at + 1


def printf(pattern: str, *values: object) -> str:
    """Format with Go's verbs; wrong ones are reported in the text, as Go does."""
    out: list[str] = []
    arguments = _Arguments(values)
    at = 0
    while at < len(pattern):
        percent = pattern.find("%", at)
        if percent < 0:
            out.append(pattern[at:])
            break
        out.append(pattern[at:percent])
        arguments.bad_index = False
        flags, width, precision, at = _specification(pattern, percent + 1, arguments)
        verb = pattern[at : at + 1]
        at += 1
        if not verb:
            out.append("%!(NOVERB)")
        elif verb == "%":
            out.append("%")
        elif arguments.bad_index:
            out.append(f"%!{verb}(BADINDEX)")
        elif not arguments.left():
            out.append(f"%!{verb}(MISSING)")
        else:
            out.append(_pad(_verb(verb, flags, precision, arguments.take()), flags, width))
    if arguments.left() and not arguments.reordered:
        extra = ", ".join(f"{type_name(value)}={_inner(value)}" for value in values[arguments.at :])
        out.append(f"%!(EXTRA {extra})")
    return "".join(out)


def _specification(
    pattern: str, at: int, arguments: _Arguments
) -> tuple[str, int | None, int | None, int]:
    flags = ""
    while pattern[at : at + 1] in _FLAGS and pattern[at : at + 1]:
        flags += pattern[at]
        at += 1
    width, at = _count(pattern, arguments.choose(pattern, at), arguments)
    if width is not None and width < 0:
        flags, width = flags + "-", -width
    precision = None
    if pattern[at : at + 1] == ".":
        precision, at = _count(pattern, arguments.choose(pattern, at + 1), arguments)
        precision = precision or 0
    return flags, width, precision, arguments.choose(pattern, at)


def _count(pattern: str, at: int, arguments: _Arguments) -> tuple[int | None, int]:
    if pattern[at : at + 1] == "*":
        value = arguments.take() if arguments.left() else 0
        return (value if isinstance(value, int) else 0), at + 1
    end = at
    while pattern[end : end + 1].isdecimal():
        end += 1
    return (int(pattern[at:end]) if end > at else None), end


def _pad(text: str, flags: str, width: int | None) -> str:
    if width is None or len(text) >= width:
        return text
    if "-" in flags:
        return text.ljust(width)
    if "0" in flags:
        return text.zfill(width)
    return text.rjust(width)


def _verb(  # noqa: PLR0911 - one for each verb
    verb: str, flags: str, precision: int | None, value: object
) -> str:
    if verb == "v":
        return _plain_verb(flags, precision, value)
    if verb == "T":
        return type_name(value)
    if verb == "t" and isinstance(value, bool):
        return text_of(value)
    if verb in "sqxX" and isinstance(value, str):
        return _string_verb(verb, value if precision is None else value[:precision], flags)
    if verb == "s" and not isinstance(value, bool | int | float):
        return "%!s(<nil>)" if value is None or isinstance(value, Nil) else text_of(value)
    if isinstance(value, int) and not isinstance(value, bool) and verb in "dxXobcqU":
        return _integer_verb(verb, flags, value)
    if isinstance(value, float) and verb in "feEgG":
        return _float_verb(verb, flags, precision, value)
    if isinstance(value, list):
        return "[" + " ".join(_verb(verb, flags, precision, item) for item in value) + "]"
    return f"%!{verb}({type_name(value)}={_inner(value)})"


def _plain_verb(flags: str, precision: int | None, value: object) -> str:
    if isinstance(value, str) and "#" in flags:
        return _string_verb("q", value, "")
    if isinstance(value, float) and precision is not None:
        return f"{value:.{precision or 1}g}"
    if "+" in flags and isinstance(value, dict) and not isinstance(value, Map):
        fields = (f"{key}:{_plain_verb(flags, precision, value[key])}" for key in value)
        return "{" + " ".join(fields) + "}"
    return text_of(value, top=False)


def _string_verb(verb: str, value: str, flags: str) -> str:
    if verb == "s":
        return value
    if verb == "q":
        from moorage.client import jsonwire

        if "#" in flags and "`" not in value and all(c >= " " or c == "\t" for c in value):
            return f"`{value}`"
        quoted = jsonwire.encode(value)
        if "+" in flags:  # ASCII only
            return "".join(c if c.isascii() else _escaped(ord(c)) for c in quoted)
        return quoted
    between = " " if " " in flags else ""
    digits = between.join(f"{byte:02x}" for byte in value.encode("utf-8", "surrogateescape"))
    return digits if verb == "x" else digits.upper()


def _escaped(code: int) -> str:
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


def _integer_verb(verb: str, flags: str, value: int) -> str:
    if verb == "c":
        return chr(value)
    if verb == "q":
        return f"'{chr(value)}'"
    if verb == "U":
        return f"U+{value:04X}"
    prefix = "#" if "#" in flags and verb not in "do" else ""
    sign = "+" if "+" in flags else " " if " " in flags else ""
    octal = "0" if "#" in flags and verb == "o" else ""
    return octal + f"{value:{sign}{prefix}{verb}}"


def _float_verb(verb: str, flags: str, precision: int | None, value: float) -> str:
    sign = "+" if "+" in flags else ""
    if precision is None and verb in "gG":
        return _float(value) if verb == "g" else _float(value).upper()
    return f"{value:{sign}.{6 if precision is None else precision}{verb}}"
