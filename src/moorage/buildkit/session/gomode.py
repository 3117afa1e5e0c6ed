"""Go's ``os.FileMode``, which fsutil's stats carry, and the kernel's ``st_mode``. Pure."""

from __future__ import annotations

import stat
from typing import Final

_KINDS: Final = {
    0: stat.S_IFREG,
    1 << 31: stat.S_IFDIR,
    1 << 27: stat.S_IFLNK,
    1 << 26: stat.S_IFBLK,
    1 << 26 | 1 << 21: stat.S_IFCHR,
    1 << 25: stat.S_IFIFO,
    1 << 24: stat.S_IFSOCK,
}
_KIND_BITS: Final = 1 << 31 | 1 << 27 | 1 << 26 | 1 << 25 | 1 << 24 | 1 << 21 | 1 << 19
_SPECIAL: Final = ((1 << 23, stat.S_ISUID), (1 << 22, stat.S_ISGID), (1 << 20, stat.S_ISVTX))
_OF_KIND: Final = {kind: bits for bits, kind in _KINDS.items()}


def to_kernel(mode: int) -> int | None:
    """Return the ``st_mode``; None for a kind that Linux has not."""
    kind = _KINDS.get(mode & _KIND_BITS)
    if kind is None:
        return None
    special = sum(bit for theirs, bit in _SPECIAL if mode & theirs)
    return kind | special | mode & 0o777


def from_kernel(mode: int) -> int:
    """Return the mode as Go writes it."""
    special = sum(theirs for theirs, bit in _SPECIAL if mode & bit)
    return _OF_KIND[stat.S_IFMT(mode)] | special | mode & 0o777
