"""Which program of the host has a port: for the one who is told that it is taken."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path
from typing import Final

_PROC: Final = Path("/proc")
_LOCAL, _STATE, _INODE = 1, 3, 9  # columns of /proc/net/tcp and its like
_LISTEN: Final = "0A"


def find(protocol: str, port: int) -> str:
    """Return the program that listens on a port, as ``nginx (pid 812)``; empty if none is found.

    Blocking: it may have to look through all processes.
    """
    sockets = {f"socket:[{inode}]" for inode in _inodes(protocol, port)}
    if not sockets:
        return ""
    for process in _PROC.iterdir():
        if process.name.isdecimal():
            with suppress(OSError):  # it has just ended
                for handle in os.scandir(process / "fd"):
                    if os.readlink(handle) in sockets:
                        return f"{(process / 'comm').read_text().strip()} (pid {process.name})"
    return ""


def _inodes(protocol: str, port: int) -> set[str]:
    found: set[str] = set()
    for name in (protocol, f"{protocol}6"):
        with suppress(OSError):  # a kernel without IPv6
            for line in (_PROC / "net" / name).read_text().splitlines()[1:]:
                columns = line.split()
                local = int(columns[_LOCAL].rpartition(":")[2], 16)
                if local == port and (protocol != "tcp" or columns[_STATE] == _LISTEN):
                    found.add(columns[_INODE])
    return found
