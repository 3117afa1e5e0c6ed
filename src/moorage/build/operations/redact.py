"""Keeps secrets out of the output of commands that got them. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

MASK: Final = b"****"
_SHORTEST: Final = 4  # what is shorter would mask half of the output, and is no secret


class Redactor:
    """Masks values in a stream that comes in pieces.

    The end of a piece is held back while it may be the beginning of a secret.
    """

    def __init__(self, values: Iterable[bytes]) -> None:
        found = {form for value in values for form in (value, value.strip())}
        self._values = sorted((v for v in found if len(v) >= _SHORTEST), key=len, reverse=True)
        self._held = b""

    def feed(self, chunk: bytes) -> bytes:
        """Return what may be shown by now."""
        if not self._values:
            return chunk
        text = self._held + chunk
        for value in self._values:
            text = text.replace(value, MASK)
        keep = max((_overlap(text, value) for value in self._values), default=0)
        self._held = text[len(text) - keep :]
        return text[: len(text) - keep]

    def finish(self) -> bytes:
        """Return what was held back."""
        held, self._held = self._held, b""
        return held


def _overlap(text: bytes, value: bytes) -> int:
    """Return how many bytes at the end of *text* begin *value*."""
    for length in range(min(len(text), len(value) - 1), 0, -1):
        if text.endswith(value[:length]):
            return length
    return 0
