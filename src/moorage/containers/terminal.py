"""The size of a container's terminal."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from moorage.lib.errors import InvalidParameter

_LARGEST: Final = 0xFFFF  # ioctl_tty(2): struct winsize has 16 bits for each


def size(given: Sequence[int] | None) -> tuple[int, int]:
    """Return (height, width); what is not given is 0, and more than two count for nothing.

    Raises: InvalidParameter, for what no terminal can have.
    """
    height, width = [*(given or ()), 0, 0][:2]
    if not (0 <= height <= _LARGEST and 0 <= width <= _LARGEST):
        raise InvalidParameter(
            f"invalid terminal size: {height} by {width}",
            hint=f"a terminal has at most {_LARGEST} lines and columns",
        )
    return height, width
