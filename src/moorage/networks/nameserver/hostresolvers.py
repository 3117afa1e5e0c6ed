"""The resolvers of this host, read again when its resolv.conf changes: a VPN, another lease."""

from __future__ import annotations

import os
import time
from typing import Final

_PATH: Final = "/etc/resolv.conf"
_LOOK_S: Final = 2.0
_FALLBACK: Final = ("8.8.8.8", "8.8.4.4")


class HostResolvers:
    """Knows the addresses in resolv.conf; asked often, it looks rarely."""

    def __init__(self, path: str = _PATH) -> None:
        self._path = path
        self._servers: list[str] = []
        self._identity: tuple[int, int] | None = None
        self._looked = float("-inf")

    def servers(self) -> list[str]:
        """Return the servers; the last known ones while the file cannot be read."""
        now = time.monotonic()
        if now - self._looked >= _LOOK_S:
            self._looked = now
            self._look()
        return self._servers or list(_FALLBACK)

    def _look(self) -> None:
        try:
            status = os.stat(self._path)
            identity = (status.st_mtime_ns, status.st_ino)
            if identity == self._identity:
                return
            with open(self._path, encoding="utf-8", errors="replace") as file:
                words = [line.split() for line in file]
        except OSError:
            return
        self._identity = identity
        self._servers = [w[1] for w in words if len(w) > 1 and w[0] == "nameserver"]
