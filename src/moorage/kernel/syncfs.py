"""syncfs(2): flush one file system, not the whole machine."""

from __future__ import annotations

import ctypes
import os
from typing import Final

_libc: Final = ctypes.CDLL(None, use_errno=True)


def syncfs(fd: int) -> None:
    """The system call of this name, for the file system that *fd* is on."""
    if _libc.syncfs(ctypes.c_int(fd)) < 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
