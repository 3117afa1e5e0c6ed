"""``--chmod``: octal, or symbolic as chmod(1) reads it. Pure."""

from __future__ import annotations

import re
from typing import Final

from moorage.lib.errors import InvalidParameter

_OCTAL: Final = re.compile(r"[0-7]{1,4}\Z")
_CLAUSE: Final = re.compile(r"([ugoa]*)((?:[-+=](?:[ugo]|[rwxXst]*))+)\Z")
_ACTION: Final = re.compile(r"([-+=])([ugo](?![rwxXst])|[rwxXst]*)")
_SHIFT: Final = {"u": 6, "g": 3, "o": 0}
_BITS: Final = {"r": 4, "w": 2, "x": 1}


def change(mode: int, text: str, *, is_directory: bool) -> int:
    """Return the permission bits that *text* makes of *mode*.

    Raises: InvalidParameter.
    """
    if _OCTAL.match(text):
        return int(text, 8)
    for clause in text.split(","):
        found = _CLAUSE.match(clause)
        if not found:
            raise InvalidParameter(f'invalid chmod parameter: "{text}"')
        who = set(found[1]) or {"a"}
        classes = set("ugo") if "a" in who else who
        for operator, permissions in _ACTION.findall(found[2]):
            mode = _apply(mode, classes, operator, permissions, is_directory=is_directory)
    return mode


def _apply(
    mode: int, classes: set[str], operator: str, permissions: str, *, is_directory: bool
) -> int:
    affected = 0
    bits = 0
    if permissions in _SHIFT:
        copied = mode >> _SHIFT[permissions] & 7
        letters = {letter for letter, bit in _BITS.items() if copied & bit}
    else:
        letters = set(permissions)
    if "X" in letters and (is_directory or mode & 0o111):
        letters.add("x")
    for name in classes:
        affected |= 7 << _SHIFT[name]
        for letter, bit in _BITS.items():
            if letter in letters:
                bits |= bit << _SHIFT[name]
    special = (0o4000 if "u" in classes else 0) | (0o2000 if "g" in classes else 0)
    if "s" in letters:
        bits |= special
    if "t" in letters:
        bits |= 0o1000
    if operator == "+":
        return mode | bits
    if operator == "-":
        return mode & ~bits
    keep_special = special if is_directory else 0
    return mode & ~(affected | (special & ~keep_special)) | bits
