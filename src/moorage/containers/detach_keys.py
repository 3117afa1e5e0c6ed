"""Detach keys: a sequence in a client's input that means "leave, the process goes on" (pure)."""

from __future__ import annotations

from typing import Final

from moorage.lib.errors import InvalidParameter

DEFAULT: Final = "ctrl-p,ctrl-q"
_SPECIAL: Final = {"@": 0, "[": 27, "\\": 28, "]": 29, "^": 30, "_": 31}


def parse(text: str) -> bytes:
    """Return the bytes of ``ctrl-a,b``; empty gives the default.

    Raises: InvalidParameter.
    """
    keys = bytearray()
    for key in (text or DEFAULT).split(","):
        if len(key) == 1 and key.isascii():
            keys.append(ord(key))
            continue
        letter = key.removeprefix("ctrl-")
        if key == letter or len(letter) != 1:
            raise InvalidParameter(f"Unknown character: '{key}'")
        if "a" <= letter <= "z":
            keys.append(ord(letter) - ord("a") + 1)
        elif letter in _SPECIAL:
            keys.append(_SPECIAL[letter])
        else:
            raise InvalidParameter(f"Unknown character: '{key}'")
    return bytes(keys)


class DetachScanner:
    """Looks for the keys in input that comes in pieces; what only looked like them is passed on."""

    def __init__(self, keys: bytes) -> None:
        self._keys = keys
        self._matched = 0

    def feed(self, piece: bytes) -> tuple[bytes, bool]:
        """Return what to pass on, and whether the keys were complete (then the rest is dropped)."""
        passed = bytearray()
        for byte in piece:
            if byte == self._keys[self._matched]:
                self._matched += 1
                if self._matched == len(self._keys):
                    return bytes(passed), True
                continue
            passed += self._keys[: self._matched]
            self._matched = 0
            if byte == self._keys[0]:
                self._matched = 1
            else:
                passed.append(byte)
        return bytes(passed), False
