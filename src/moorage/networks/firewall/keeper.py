"""Keeper of the nftables rules: applies changes in order and mends what others break."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterable
from pathlib import Path
from typing import Final

from moorage.lib import heap, offload
from moorage.lib.errors import System
from moorage.lib.tasks import Supervisor
from moorage.netlink.nft import Nft, NftError
from moorage.netlink.nftmonitor import NftMonitor
from moorage.networks.firewall import admission, guard, rules
from moorage.networks.firewall.guard import Owner
from moorage.networks.firewall.rules import NetworkRules, PortLink, Published, Wanted

log = logging.getLogger(__name__)

_BRIDGE_CALLS: Final = Path("/proc/sys/net/bridge/bridge-nf-call-ip6tables")
_REST_AFTER_S: Final = 2.0  # without a change, the library's memory is given back
_HEAL_PAUSE_S: Final = 0.2  # a flush comes as many notifications; mend once


class Keeper:
    """Owns the tables ``moorage_<instance>`` and knows all that they must hold.

    A change is noted at once and applied by ``settle``; whoever calls it takes along the changes
    of others that wait. The lock is held while a transaction runs.
    """

    def __init__(self, instance: str, supervisor: Supervisor, *, admit: bool = False) -> None:
        self.instance = instance
        self.table = rules.table_name(instance)
        self.wanted = Wanted(admit=admit)
        self._supervisor = supervisor
        self._lock = asyncio.Lock()
        self._pending: list[str] = []
        self._broken = False  # the tables may differ from what is wanted
        self._nft: Nft | None = None
        self._resting: asyncio.TimerHandle | None = None
        self._monitor: NftMonitor | None = None
        self._healing = False
        self._harmed = False  # by others, and not mended yet
        self._task: asyncio.Task[None] | None = None
        self.mended = 0  # times that somebody else's change was undone

    async def open(self) -> None:
        """Put the whole of what is wanted in place, and begin to watch over it."""
        self._monitor = NftMonitor(self.table)
        self._nft = Nft(self._monitor.greeting)
        self._pending.clear()
        async with self._lock:
            await self._replace()
        self._rest_after(0)  # most daemons begin by waiting
        asyncio.get_running_loop().add_reader(self._monitor.fileno(), self._noticed)

    async def close(self, *, remove: bool = False) -> None:
        """Stop watching; the rules stay in force unless they are to be removed."""
        if self._monitor is not None:
            asyncio.get_running_loop().remove_reader(self._monitor.fileno())
            self._monitor.close()
            self._monitor = None
        if self._nft is not None:
            if remove:
                async with self._lock:
                    await self._withdraw()
                    await self._run(rules.remove_all(self.table))
            self._nft.close()
            self._nft = None
        if self._resting is not None:
            self._resting.cancel()

    def add_network(self, network: NetworkRules) -> None:
        """Note the rules of a bridge; those it had are replaced."""
        if (old := self.wanted.networks.get(network.tag)) is not None:
            self._pending.append(rules.remove_network(self.table, old))
        self.wanted.networks[network.tag] = network
        self._pending.append(rules.add_network(self.table, network))

    def guard_tunnel(self, port: int, device: str) -> None:
        """Note that a VXLAN port is for the encrypted *device* alone."""
        if port not in self.wanted.tunnels:
            self.wanted.tunnels[port] = device
            self._pending.append(rules.guard_tunnel(self.table, port, device))

    def remove_network(self, tag: str) -> None:
        """Note that a bridge is gone."""
        if (old := self.wanted.networks.pop(tag, None)) is not None:
            self._pending.append(rules.remove_network(self.table, old))

    def publish(self, ports: Iterable[Published]) -> None:
        """Note ports to open."""
        new = [p for p in ports if p not in self.wanted.published]
        if any(":" in p.host for p in new) and self.wanted.loopback6 != _loopback6():
            self._broken = True  # br_netfilter has come or gone: the whole is written afresh
        self.wanted.published.update(dict.fromkeys(new))
        self._note(rules.publish(self.table, new))

    def unpublish(self, ports: Iterable[Published]) -> None:
        """Note ports to close."""
        old = [p for p in ports if p in self.wanted.published]
        for port in old:
            del self.wanted.published[port]
        self._note(rules.unpublish(self.table, old))

    def add_links(self, links: Iterable[PortLink]) -> None:
        """Note ports that linked containers may use."""
        new = [x for x in links if x not in self.wanted.links]
        self.wanted.links.update(dict.fromkeys(new))
        self._note(rules.add_links(self.table, new))

    def remove_links(self, links: Iterable[PortLink]) -> None:
        """Note that links have ended."""
        old = [x for x in links if x in self.wanted.links]
        for link in old:
            del self.wanted.links[link]
        self._note(rules.remove_links(self.table, old))

    def add_owners(self, owners: Iterable[Owner]) -> None:
        """Note whose addresses are whose; what a confined port says is dropped until then."""
        new = [x for x in owners if x not in self.wanted.owners]
        self.wanted.owners.update(dict.fromkeys(new))
        self._note(guard.add(self.table, new))

    def remove_owners(self, owners: Iterable[Owner]) -> None:
        """Note that ports are gone."""
        old = [x for x in owners if x in self.wanted.owners]
        for owner in old:
            del self.wanted.owners[owner]
        self._note(guard.remove(self.table, old))

    def _note(self, commands: str) -> None:
        if commands:
            self._pending.append(commands)

    async def settle(self) -> None:
        """Wait until every change noted so far is in force; before ``open`` they only wait.

        Cancel: what was not applied is by the next caller.
        Raises: System, if the kernel refuses even the whole afresh.
        """
        if self._nft is None:
            return
        async with self._lock:
            if self._broken:
                await self._replace()
            elif self._pending:
                commands, self._pending = "\n".join(self._pending), []
                try:
                    await self._run(commands)
                except NftError as error:
                    log.info("nftables differ from what was last applied (%s); replacing", error)
                    await self._replace()
                except BaseException:  # cancelled, or no thread: who knows what is in force
                    self._broken = True
                    raise

    async def _replace(self) -> None:
        self._broken = True
        self._pending.clear()
        self.wanted.loopback6 = _loopback6()
        await self._run(rules.whole(self.instance, self.wanted))
        self._broken = False
        await self._admit()

    async def _admit(self) -> None:
        """Let packets of containers pass the host's other forward chains, if that is wanted."""
        if self.wanted.admit:
            commands = admission.missing(await self._list(), self.table)
            if commands:
                await self._run(commands)

    async def _withdraw(self) -> None:
        if self.wanted.admit:
            commands = admission.withdrawal(await self._list(), self.table)
            if commands:
                await self._run(commands)

    async def _list(self) -> str:
        if self._nft is None:
            raise System("the firewall is closed")
        return await offload.run("net", self._nft.run, "list ruleset", json=True)

    async def _run(self, commands: str) -> None:
        if self._nft is None:
            raise System("the firewall is closed")
        await offload.run_to_end("net", self._nft.run, commands)  # the lock covers its thread too
        self._rest_after(_REST_AFTER_S)

    def _rest_after(self, seconds: float) -> None:
        if self._resting is not None:
            self._resting.cancel()
        self._resting = asyncio.get_running_loop().call_later(seconds, self._begin_rest)

    def _begin_rest(self) -> None:
        self._resting = None
        _ = self._supervisor.start(self._rest(), "nftables at rest")

    async def _rest(self) -> None:
        """Give the library's memory back; in a thread, for closing its sockets takes 10 ms."""
        if self._nft is not None and not self._lock.locked():
            await offload.run("net", self._nft.rest)
            heap.give_back()

    def _noticed(self) -> None:
        if self._monitor is None:
            return
        self._harmed |= self._monitor.harmed()
        reshaped = self._monitor.reshaped and self.wanted.admit
        if (self._harmed or reshaped) and not self._healing:
            self._healing = True
            self._task = self._supervisor.start(self._heal(), "mend nftables")

    async def _heal(self) -> None:
        await asyncio.sleep(_HEAL_PAUSE_S)
        self._healing = False
        harmed, self._harmed = self._harmed, False
        if self._monitor is not None:
            self._monitor.reshaped = False
        async with self._lock:
            if not harmed:
                await self._admit()
                return
            if self._nft is not None:
                self._nft.rest()  # to be known anew, should the queue have overflowed
            await self._replace()
        self.mended += 1
        log.warning("nftables table %s was changed from outside and has been restored", self.table)


def _loopback6() -> bool:
    try:
        return _BRIDGE_CALLS.read_text().strip() == "0"
    except OSError:
        return True  # br_netfilter is not loaded
