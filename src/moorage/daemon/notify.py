"""Messages to systemd (sd_notify(3)): ready, reloading, stopping."""

from __future__ import annotations

import os
import socket
from contextlib import suppress


def notify(state: str) -> None:
    """Send *state*, such as ``READY=1``, if systemd listens."""
    target = os.environ.get("NOTIFY_SOCKET")
    if not target:
        return
    with suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
        sock.connect("\0" + target[1:] if target.startswith("@") else target)
        sock.sendall(state.encode())
