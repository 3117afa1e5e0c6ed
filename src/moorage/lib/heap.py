"""The C heap of a process that idles most of its life."""

from __future__ import annotations

import ctypes
from typing import Final

_M_ARENA_MAX: Final = -8  # malloc.h


def share_one_arena() -> None:
    """Let all threads allocate from one heap (mallopt(3)); before the first thread.

    With one for each thread, what a burst of threads has freed is scattered, and stays.
    """
    option = getattr(ctypes.CDLL(None), "mallopt", None)  # glibc has it, musl has not
    if option is not None:
        option(_M_ARENA_MAX, 1)


def give_back() -> None:
    """Return free pages (malloc_trim(3)); takes a millisecond."""
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(0)
