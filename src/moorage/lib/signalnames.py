"""Signals as users write them, in the image, on the command line and in requests."""

from __future__ import annotations

import signal as signals

from moorage.lib.errors import InvalidParameter


def parse(text: str) -> int:
    """Return the number of ``9``, ``KILL``, ``SIGKILL`` or ``SIGRTMIN+3``.

    Raises: InvalidParameter, with Docker's sentence.
    """
    if text.isdecimal():
        number = int(text)
        if 0 < number <= signals.SIGRTMAX:
            return number
        raise InvalidParameter(f"invalid signal: {text}")
    name = text.upper().removeprefix("SIG")
    base, plus, offset = name.partition("+")
    if plus and base == "RTMIN" and offset.isdecimal():
        number = signals.SIGRTMIN + int(offset)
        if number <= signals.SIGRTMAX:
            return number
    base, minus, offset = name.partition("-")
    if minus and base == "RTMAX" and offset.isdecimal():
        number = signals.SIGRTMAX - int(offset)
        if number >= signals.SIGRTMIN:
            return number
    found = getattr(signals, f"SIG{name}", None) if name.isalnum() else None
    if not isinstance(found, signals.Signals):
        raise InvalidParameter(f"invalid signal: {text}")
    return int(found)
