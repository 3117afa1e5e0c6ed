"""What the daemon knows of its host's interfaces and routes without asking each time."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable

from moorage.lib import offload
from moorage.netlink import route
from moorage.netlink.hostmonitor import HostMonitor
from moorage.netlink.nlsocket import NetlinkSocket
from moorage.networks.ipam import IPNetwork


class HostWatch:
    """Follows the kernel's notifications between ``open`` and ``close``.

    *on_gone* is called with the name of each interface that was deleted, whoever did it.
    """

    def __init__(self, on_gone: Callable[[str], None]) -> None:
        self._on_gone = on_gone
        self._monitor: HostMonitor | None = None
        self._dumped: list[IPNetwork] = []
        self._added: dict[IPNetwork, None] = {}  # since the dump
        self._stale = True  # routes may have gone since the dump

    def open(self) -> None:
        """Begin to listen."""
        self._monitor = HostMonitor()
        asyncio.get_running_loop().add_reader(self._monitor.fileno(), self._look)

    def close(self) -> None:
        """Stop listening; safe to call twice."""
        if self._monitor is not None:
            asyncio.get_running_loop().remove_reader(self._monitor.fileno())
            self._monitor.close()
            self._monitor = None

    async def routes(self) -> list[IPNetwork]:
        """Return where the host's routes lead at this moment, but for default routes.

        A dump of all routes is made only if some may have gone; new ones are known by then.
        """
        self._look()
        while self._stale or self._monitor is None:
            self._stale = False
            self._added.clear()
            self._dumped = await offload.run("net", _dump)
            self._look()
            if self._monitor is None:
                break
        return [n for n in (*self._dumped, *self._added) if n.prefixlen > 0]

    def _look(self) -> None:
        if self._monitor is None:
            return
        happened = self._monitor.read()
        self._stale |= happened.stale
        self._added.update(dict.fromkeys(happened.routes))
        for name in happened.gone:
            self._on_gone(name)


def _dump() -> list[IPNetwork]:
    with NetlinkSocket() as host:
        return [
            r.destination
            for family in (socket.AF_INET, socket.AF_INET6)
            for r in route.read_all(host, family)
        ]
