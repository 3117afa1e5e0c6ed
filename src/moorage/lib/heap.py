"""Giving freed memory back to the kernel, for a process that idles most of its life."""

from __future__ import annotations

import ctypes


def give_back() -> None:
    """Return free pages of the C heap (malloc_trim(3)); takes a millisecond."""
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)  # glibc has it, musl has not
    if trim is not None:
        trim(0)
