"""Percent-encoding of paths and queries (``urllib.parse`` loads ``re`` and more)."""

from __future__ import annotations

_PATH_SAFE = frozenset(
    b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~/:@!$+,;="
)
_QUERY_SAFE = _PATH_SAFE - frozenset(b"/:@!$+,;=")


def quote_path(text: str) -> str:
    """Escape *text* for use inside a path; slashes stay."""
    return _quote(text, _PATH_SAFE)


def encode_query(query: dict[str, object]) -> str:
    """Format a query: None is left out, booleans are 1 and 0, lists repeat their key."""
    parts: list[str] = []
    for key, value in query.items():
        if value is None:
            continue
        values = value if isinstance(value, list) else [value]
        for item in values:
            text = str(int(item)) if isinstance(item, bool) else str(item)
            parts.append(f"{key}={_quote(text, _QUERY_SAFE)}")
    return "&".join(parts)


def _quote(text: str, safe: frozenset[int]) -> str:
    raw = text.encode("utf-8", "surrogateescape")
    return "".join(chr(byte) if byte in safe else f"%{byte:02X}" for byte in raw)
