"""close_range(2): many descriptors in one call."""

from __future__ import annotations

import ctypes
import os
from typing import Final

CLOSE_RANGE_UNSHARE: Final = 2  # linux/close_range.h: first give the thread a table of its own
CLOSE_RANGE_CLOEXEC: Final = 4  # only mark them; Linux 5.11
LAST: Final = 0xFFFFFFFF

_SYS_CLOSE_RANGE: Final = 436  # the same on every architecture
_libc: Final = ctypes.CDLL(None, use_errno=True)


def close_range(first: int, last: int, flags: int) -> None:
    """The system call of this name. Raises: OSError."""
    if _libc.syscall(_SYS_CLOSE_RANGE, ctypes.c_uint(first), ctypes.c_uint(last), flags) < 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number), "close_range")
