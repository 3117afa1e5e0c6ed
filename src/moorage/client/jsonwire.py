"""JSON for the client, on the C scanner alone.

``import json`` costs as much as the rest of ``moor ps`` together (it loads ``re`` and ``enum``), so
this speaks to the accelerator beneath it. Encoding is Go's: compact, UTF-8 as it is.
"""

from __future__ import annotations

from _json import (
    encode_basestring,
    make_encoder,
    make_scanner,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    Json = dict[str, Any]


class _ScannerOptions:
    """The attributes the C scanner reads from its context."""

    strict = False
    object_hook = None
    object_pairs_hook = None
    parse_float = float
    parse_int = int
    parse_constant = float
    memo: dict[str, str] = {}  # noqa: RUF012 - the scanner wants an attribute, not an instance


_scan = make_scanner(_ScannerOptions)  # type: ignore[arg-type]


def _refuse(value: object) -> object:
    message = f"{type(value).__name__} has no JSON form"
    raise TypeError(message)


def decode(text: bytes | str) -> Any:
    """Parse one JSON value.

    Raises: ValueError, with the beginning of what was not JSON.
    """
    if isinstance(text, bytes):
        text = text.decode("utf-8", "replace")
    text = text.strip()
    try:
        value, end = _scan(text, 0)
    except StopIteration:
        end, value = -1, None
    except (ValueError, SystemError) as e:  # the latter where json.decoder is not loaded
        message = f"not JSON: {text[:80]!r}"
        raise ValueError(message) from e
    if end != len(text):
        message = f"not JSON: {text[:80]!r}"
        raise ValueError(message)
    return value


def encode(value: object, *, sort_keys: bool = False) -> str:
    """Format as Go's encoder does: no spaces, no HTML escapes, a map's keys in order if asked."""
    settings = (None, ":", ",", sort_keys, False, True)  # indent, separators, …, skip keys, NaN
    return "".join(make_encoder(None, _refuse, encode_basestring, *settings)(value, 0))


def indent(text: str, step: str = "    ", prefix: str = "") -> str:
    """Lay out JSON text over lines as Go's ``json.Indent`` does, leaving every token as it is.

    Numbers and escapes stay exactly as the daemon wrote them, which decoding would not promise.
    """
    out: list[str] = []
    depth, at, size = 0, 0, len(text)
    while at < size:
        char = text[at]
        if char == '"':
            end = _string_end(text, at)
            out.append(text[at:end])
            at = end
            continue
        if char in "{[":
            following = _skip_space(text, at + 1)
            if text[following : following + 1] in {"}", "]"}:
                out.append(char + text[following])
                at = following + 1
                continue
            depth += 1
            out.append(f"{char}\n{prefix}{step * depth}")
        elif char in "}]":
            depth -= 1
            out.append(f"\n{prefix}{step * depth}{char}")
        elif char == ",":
            out.append(f",\n{prefix}{step * depth}")
        elif char == ":":
            out.append(": ")
        elif char not in " \t\r\n":
            out.append(char)
        at += 1
    return "".join(out)


def _skip_space(text: str, at: int) -> int:
    while text[at : at + 1] in {" ", "\t", "\r", "\n"}:
        at += 1
    return at


def _string_end(text: str, start: int) -> int:
    """Return the position after the string whose opening quote is at *start*."""
    at = start + 1
    while True:
        quote = text.find('"', at)
        if quote < 0:
            return len(text)
        backslashes = 0
        while text[quote - 1 - backslashes] == "\\":
            backslashes += 1
        if backslashes % 2 == 0:
            return quote + 1
        at = quote + 1
