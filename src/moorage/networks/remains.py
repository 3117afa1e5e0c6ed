"""Bridges of networks that are gone: taken off the host later, and many at once.

The kernel deletes an interface in tens of milliseconds, nearly all of it waiting, and deletes a
hundred in the same time if it is asked for all together. Who removes a network does not wait: the
bridge has no ports and no rules by then. What is to go is on disk until it has gone.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Collection, Mapping
from typing import Final

from moorage.lib import offload
from moorage.lib.failpoint import failpoint
from moorage.lib.tasks import Supervisor
from moorage.netlink import link
from moorage.netlink.nlsocket import NetlinkError, NetlinkSocket
from moorage.networks.records import Records

log = logging.getLogger(__name__)

_GROUP: Final = 1 << 30  # of interfaces; with digits of the daemon's own


class Remains:
    """The bridges that are to go, by name, each with the Ethernet address we gave it."""

    def __init__(self, records: Records, supervisor: Supervisor, instance: str) -> None:
        self._records = records
        self._supervisor = supervisor
        self._group = _GROUP | int(instance[:7], 16)
        self._devices: dict[str, str] = {}
        self._task: asyncio.Task[None] | None = None

    def open(self, in_use: Collection[str]) -> None:
        """Go on where an earlier daemon ended; a bridge of a network that is *in use* stays."""
        known = self._records.remains()
        self._records.forget_remains(known.keys() & set(in_use))
        self._devices.update((d, mac) for d, mac in known.items() if d not in in_use)
        self._begin()

    def add(self, device: str, mac: str) -> None:
        """Let a bridge go."""
        self._records.save_remains(device, mac)
        self._devices[device] = mac
        self._begin()

    async def wait_cleared(self) -> None:
        """Wait until no bridge is left that is to go."""
        if self._task is not None:
            await asyncio.wait([self._task])

    def _begin(self) -> None:
        if self._devices and (self._task is None or self._task.done()):
            self._task = self._supervisor.start(self._clear(), "clear bridges away")

    async def _clear(self) -> None:
        while self._devices:
            # A bridge may be made again and let go again meanwhile: that one is of the next round.
            batch, self._devices = self._devices, {}
            failpoint("networks.remains.before_delete")
            try:
                await offload.run("net", _delete, batch, self._group)
            except OSError as error:
                log.warning("bridges %s stay until the next start: %s", ", ".join(batch), error)
            else:
                self._records.forget_remains(batch.keys() - self._devices.keys())


def _delete(devices: Mapping[str, str], group: int) -> None:
    """Delete those of *devices* that are still the bridges they were. Blocking."""
    with NetlinkSocket() as host:
        doomed = [name for name, mac in devices.items() if _is_bridge(host, name, mac)]
        host.run_each([link.set_group(name, group) for name in doomed])
        if doomed:
            host.run(link.delete_group(group))


def _is_bridge(host: NetlinkSocket, name: str, mac: str) -> bool:
    try:
        found = link.read(host, name)
    except NetlinkError:
        return False
    return found.kind == "bridge" and found.address == mac
