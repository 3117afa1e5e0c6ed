"""The functions templates can call: Go's own and those the docker CLI adds."""

from __future__ import annotations

from moorage.cli.failure import FunctionError
from moorage.cli.template.printing import printf, text_of
from moorage.cli.template.values import Nil, to_json, truth, type_name

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any


def _length(value: object) -> int:
    if isinstance(value, str):
        return len(value.encode("utf-8", "surrogateescape"))
    if isinstance(value, list | dict | Nil):
        return len(value)
    raise FunctionError(f"len of type {type_name(value)}")


def _index(value: object, *keys: object) -> object:
    for key in keys:
        if isinstance(value, Nil):
            return ""
        if isinstance(value, dict):
            if not isinstance(key, str):
                raise FunctionError(f"value has type {type_name(key)}; should be string")
            missing = "" if all(isinstance(item, str) for item in value.values()) else None
            value = value.get(key, missing)
        elif isinstance(value, list | str):
            if not isinstance(key, int) or isinstance(key, bool):
                raise FunctionError(f"cannot index slice/array with type {type_name(key)}")
            if not 0 <= key < len(value):
                raise FunctionError(f"index out of range: {key}")
            value = ord(value[key]) if isinstance(value, str) else value[key]
        elif value is None:
            raise FunctionError("index of untyped nil")
        else:
            raise FunctionError(f"can't index item of type {type_name(value)}")
    return value


def _slice(value: object, *given: object) -> object:
    if value is None:
        raise FunctionError("slice of untyped nil")
    if not isinstance(value, str | list):
        raise FunctionError(f"can't slice item of type {type_name(value)}")
    if isinstance(value, str) and len(given) > 2:
        raise FunctionError("cannot 3-index slice a string")
    bounds = [0, len(value)]
    for at, bound in enumerate(given[:2]):
        if not isinstance(bound, int) or isinstance(bound, bool):
            raise FunctionError(f"cannot index slice/array with type {type_name(bound)}")
        if not 0 <= bound <= len(value):
            raise FunctionError(f"index out of range: {bound}")
        bounds[at] = bound
    low, high = bounds
    if low > high:
        raise FunctionError(f"invalid slice index: {low} > {high}")
    return value[low:high]


def _equal(first: object, *others: object) -> bool:
    if not others:
        raise FunctionError("missing argument for comparison")
    for other in others:
        if _comparable(first) != _comparable(other) and None not in {first, other}:
            raise FunctionError("incompatible types for comparison")
    return any(first == other for other in others)


def _comparable(value: object) -> str:
    if isinstance(value, bool):
        return "bool"
    for kind in (int, float, str):
        if isinstance(value, kind):
            return kind.__name__
    if value is None or isinstance(value, Nil):
        return "nil"
    raise FunctionError(f"non-comparable type {text_of(value)}: {type_name(value)}")


def _ordered(first: Any, second: Any) -> int:
    kind = _comparable(first)
    if kind != _comparable(second):
        raise FunctionError("incompatible types for comparison")
    if kind not in {"int", "float", "str"}:
        raise FunctionError("invalid type for comparison")
    return int(first > second) - int(first < second)


def _print(*values: object) -> str:
    """Join as ``fmt.Sprint``: a space between neighbours that are both no strings."""
    out = ""
    for at, value in enumerate(values):
        if at and not isinstance(value, str) and not isinstance(values[at - 1], str):
            out += " "
        out += text_of(value, top=False)
    return out


def _join(values: list[object] | None, separator: str) -> str:
    return separator.join(text_of(value, top=False) for value in values or ())


def _truncate(text: str, length: int) -> str:
    """Keep *length* bytes, as docker counts them."""
    kept = text.encode("utf-8", "surrogateescape")[:length]
    return kept.decode("utf-8", "surrogateescape")


def _title(text: str) -> str:
    out, previous = [], " "
    for char in text:
        begins = not (previous.isalnum() or previous == "_")
        out.append(char.title() if begins else char)
        previous = char
    return "".join(out)


def _escape_html(*values: object) -> str:
    text = _print(*values)
    for char, escape in (
        *(("&", "&amp;"), ("<", "&lt;"), (">", "&gt;"), ('"', "&#34;"), ("'", "&#39;")),
    ):
        text = text.replace(char, escape)
    return text


def _urlquery(*values: object) -> str:
    from moorage.client import url

    return url.encode_query({"": _print(*values)})[1:].replace("%20", "+")


def _escape_js(*values: object) -> str:
    """Escape for a string of JavaScript, as Go does it."""
    return "".join(
        f"\\{char}"
        if char in "\\'\""
        else f"\\u{ord(char):04X}"
        if char in "<>&=" or char < " "
        else char
        for char in _print(*values)
    )


def _call(value: object, *_: object) -> object:
    if value is None:
        raise FunctionError("call of nil")
    raise FunctionError(f"non-function of type {type_name(value)}")


FUNCTIONS: dict[str, Callable[..., object]] = {
    "not": lambda value: not truth(value),
    "len": _length,
    "index": _index,
    "slice": _slice,
    "print": _print,
    "printf": printf,
    "println": lambda *values: " ".join(text_of(v, top=False) for v in values) + "\n",
    "html": _escape_html,
    "js": _escape_js,
    "urlquery": _urlquery,
    "call": _call,
    "eq": _equal,
    "ne": lambda first, second: not _equal(first, second),
    "lt": lambda first, second: _ordered(first, second) < 0,
    "le": lambda first, second: _ordered(first, second) <= 0,
    "gt": lambda first, second: _ordered(first, second) > 0,
    "ge": lambda first, second: _ordered(first, second) >= 0,
    # "and" and "or" stop early: the executor evaluates their arguments one by one
    "and": lambda *values: next((v for v in values if not truth(v)), values[-1]),
    "or": lambda *values: next((v for v in values if truth(v)), values[-1]),
    # docker's
    "json": to_json,
    "split": lambda text, separator: text.split(separator) if separator else list(text),
    "join": _join,
    "title": _title,
    "lower": lambda text: text.lower(),
    "upper": lambda text: text.upper(),
    "pad": lambda text, before, after: " " * before + text + " " * after if text else "",
    "truncate": _truncate,
}
# Arguments: s a string, i an integer, l a list of strings, v any value, * any number more.
SIGNATURES: dict[str, str] = {
    **dict.fromkeys(("print", "println", "html", "js", "urlquery"), "*"),
    **dict.fromkeys(("not", "len", "json"), "v"),
    **dict.fromkeys(("index", "slice", "call", "eq"), "v*"),
    **dict.fromkeys(("ne", "lt", "le", "gt", "ge"), "vv"),
    **dict.fromkeys(("title", "lower", "upper"), "s"),
    "printf": "s*",
    "split": "ss",
    "join": "ls",
    "pad": "sii",
    "truncate": "si",
}


def _heading(value: object, *_: object) -> str:
    """Pass a heading through the functions that work on cells."""
    if not isinstance(value, str):
        raise FunctionError(f"wrong type for value; expected string; got {type_name(value)}")
    return value


HEADER_FUNCTIONS: dict[str, Callable[..., object]] = dict.fromkeys(
    ("json", "split", "join", "title", "lower", "upper", "pad", "truncate"), _heading
)
