"""What the kernel takes as a path (linux/limits.h)."""

from __future__ import annotations

from typing import Final

PATH_MAX: Final = 4096  # bytes, with the zero at the end
NAME_MAX: Final = 255


def fits(path: str) -> bool:
    """Whether a system call could be given *path*."""
    encoded = path.encode(errors="surrogateescape")
    return len(encoded) < PATH_MAX and all(len(n) <= NAME_MAX for n in encoded.split(b"/"))
