"""The terminal: its size, and raw mode while a container owns it."""

from __future__ import annotations

import posix
import termios

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

IFLAG, OFLAG, CFLAG, LFLAG, CC = 0, 1, 2, 3, 6


def size(descriptor: int) -> tuple[int, int] | None:
    """Return rows and columns; None where there is no terminal or it does not know."""
    try:
        found = posix.get_terminal_size(descriptor)
    except OSError:
        return None
    return (found.lines, found.columns) if found.lines and found.columns else None


def make_raw(descriptor: int) -> Callable[[], None]:
    """Put a terminal into raw mode, output processing included; return what undoes it."""
    saved = termios.tcgetattr(descriptor)
    raw = termios.tcgetattr(descriptor)
    raw[IFLAG] &= ~(
        termios.IGNBRK | termios.BRKINT | termios.PARMRK | termios.ISTRIP
        | termios.INLCR | termios.IGNCR | termios.ICRNL | termios.IXON
    )  # fmt: skip
    raw[OFLAG] &= ~termios.OPOST
    raw[LFLAG] &= ~(termios.ECHO | termios.ECHONL | termios.ICANON | termios.ISIG | termios.IEXTEN)
    raw[CFLAG] = (raw[CFLAG] & ~(termios.CSIZE | termios.PARENB)) | termios.CS8
    raw[CC][termios.VMIN], raw[CC][termios.VTIME] = 1, 0
    termios.tcsetattr(descriptor, termios.TCSANOW, raw)
    return lambda: termios.tcsetattr(descriptor, termios.TCSANOW, saved)
