"""Entry of the name server process: ``program.main(path of the control socket)``."""

from __future__ import annotations

import os
import resource
import signal
import socket
import sys
import time
from contextlib import suppress
from typing import Final

from moorage.networks.nameserver.control import Control
from moorage.networks.nameserver.loop import Loop
from moorage.networks.nameserver.server import Server

_LOOK_S: Final = 5.0  # how often to see whether exec-root is still there


def main() -> None:
    """Serve until told to end, or until the control socket has been removed or taken over.

    The listening socket comes as descriptor 3, its path as the argument.
    """
    path = sys.argv[1]
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the daemon's terminal is not ours
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    with suppress(OSError, ValueError):
        hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    listener = socket.socket(fileno=3)
    listener.settimeout(0)
    identity = os.stat(path).st_ino
    loop = Loop()
    server = Server(loop)
    control = Control(loop, server, listener)
    look = time.monotonic() + _LOOK_S
    while not control.exit:
        server.run(look)
        if time.monotonic() >= look:
            look = time.monotonic() + _LOOK_S
            server.close_idle()
            if _inode(path) != identity:
                return


def _inode(path: str) -> int | None:
    try:
        return os.stat(path).st_ino
    except OSError:
        return None
