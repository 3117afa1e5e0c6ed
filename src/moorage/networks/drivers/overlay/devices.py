"""What overlay networks need on this host: bridges, tunnels, and entries that lead on."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from functools import partial
from typing import Final

from moorage.lib import offload
from moorage.lib.tasks import Supervisor
from moorage.networks import sandbox
from moorage.networks.drivers import options
from moorage.networks.drivers.bridge import BridgePlan, mac_of, make_bridge
from moorage.networks.drivers.overlay import forwarding
from moorage.networks.drivers.overlay.forwarding import Remote, Tunnel
from moorage.networks.drivers.overlay.membership import Membership
from moorage.networks.drivers.overlay.records import Member
from moorage.networks.drivers.overlay.wireguard import Wireguard
from moorage.networks.firewall.keeper import Keeper
from moorage.networks.firewall.rules import NetworkRules
from moorage.networks.ipam import gateway_of
from moorage.networks.records import NetworkRecord
from moorage.networks.registry import Registry

ENCRYPTED: Final = "encrypted"


class Devices:
    """The devices of the networks that have containers on this host.

    *cluster* returns this host's membership, or raises Forbidden; *changed* is called when there
    is a tunnel more or less. Changes of tunnels happen in the
    order they were learned.
    """

    def __init__(
        self,
        registry: Registry,
        keeper: Keeper,
        supervisor: Supervisor,
        cluster: Callable[[], Membership],
        *,
        port: int,
        changed: Callable[[], None],
    ) -> None:
        self._registry = registry
        self._keeper = keeper
        self._supervisor = supervisor
        self._cluster = cluster
        self._port = port
        self._changed = changed
        self._mtu = 0
        self._wireguard: Wireguard | None = None
        self._open: set[str] = set()  # networks with a bridge and tunnel here
        self._tasks: list[asyncio.Task[None]] = []
        self._kernel = asyncio.Lock()

    def begin(self, wireguard: Wireguard, mtu: int) -> None:
        """Take what encrypts tunnels, and the MTU of the way to other hosts."""
        self._wireguard = wireguard
        self._mtu = mtu

    def lead_to(self, network: NetworkRecord, member: Member) -> None:
        """Let packets find a container of another host, if the network is open here."""
        self._change(network, member, forwarding.add_remote)

    def lead_no_more(self, network: NetworkRecord, member: Member) -> None:
        """Undo ``lead_to``."""
        self._change(network, member, forwarding.drop_remote)

    def _change(
        self, network: NetworkRecord, member: Member, act: Callable[[str, Remote], None]
    ) -> None:
        remote = self._remote(network, member)
        if remote is not None and network.id in self._open:
            self._in_order(partial(act, _tunnel(network.id), remote), "forwarding entry")

    def close_later(self, network: NetworkRecord) -> None:
        """Take the devices of a network away, without waiting for it."""
        self._tasks.append(self._supervisor.start(self.close(network), f"close {network.name}"))

    def lead_anew(self) -> None:
        """Write the entries of all tunnels anew: a host may have come back at another address."""
        for network_id in self._open:
            network = self._registry.networks.get(network_id)
            if network is None:
                continue
            for member in self._cluster().members.values():
                if member.network == network_id:
                    self.lead_to(network, member)
        if self._wireguard is not None and self._wireguard.is_open:
            cluster = self._cluster()
            peers = self._wireguard.set_peers(cluster.node, list(cluster.nodes.values()))
            self._tasks.append(self._supervisor.start(peers, "peers"))

    @property
    def tunnels(self) -> list[str]:
        """The names of the tunnels."""
        return [_tunnel(network_id) for network_id in self._open]

    def switch(self, *, up: bool) -> None:
        """Bring all tunnels up or down."""
        self._in_order(partial(forwarding.set_tunnels, self.tunnels, up=up), "switch tunnels")

    def mtu_of(self, network: NetworkRecord) -> int:
        """Return the MTU of a network's containers.

        Raises: InvalidParameter, Forbidden.
        """
        if asked := options.mtu(network.options, 0):
            return asked
        if is_encrypted(network) and self._wireguard is not None:
            return self._wireguard.mtu(self._mtu) - forwarding.OVERHEAD6
        node = self._cluster().node
        return self._mtu - (forwarding.OVERHEAD6 if ":" in node.address else forwarding.OVERHEAD4)

    async def open(self, network: NetworkRecord) -> None:
        """Make the bridge, the rules and the tunnel of a network with containers here; idempotent.

        Raises: System, Forbidden.
        """
        async with self._kernel:
            if network.id in self._open:
                return
            self._open.add(network.id)  # what is learned from here on waits for its turn
            try:
                await self._make(network)
            except BaseException:
                self._open.discard(network.id)
                raise
        self._changed()

    async def _make(self, network: NetworkRecord) -> None:
        cluster = self._cluster()
        local, port = cluster.node.address, self._port
        if is_encrypted(network) and self._wireguard is not None:
            await self._wireguard.open(cluster.node, list(cluster.nodes.values()))
            local, port = self._wireguard.address_of(cluster.node.id), self._port + 1
            self._keeper.guard_tunnel(port, self._wireguard.device)
        await offload.run("net", make_bridge, self._bridge_plan(network))
        tunnel = Tunnel(
            name=_tunnel(network.id),
            bridge=network.device,
            vni=network.vni,
            port=port,
            local=local,
            mtu=self.mtu_of(network),
        )
        remotes = [
            remote
            for member in cluster.members.values()
            if member.network == network.id and (remote := self._remote(network, member))
        ]
        self._keeper.add_network(
            NetworkRules(
                tag=network.id[:12],
                bridge=network.device,
                subnets=tuple(s.cidr for s in network.subnets),
                internal=network.internal,
            )
        )
        await self._keeper.settle()
        await offload.run("net", forwarding.open_tunnel, tunnel, remotes)
        if cluster.is_confirmed:
            await offload.run("net", partial(forwarding.set_tunnels, [tunnel.name], up=True))

    def lost(self, network: NetworkRecord, device: str) -> bool:
        """Note that a device has gone; whether the network needs it, and is to be opened anew."""
        needed = {network.device, _tunnel(network.id)}
        if is_encrypted(network) and self._wireguard is not None:
            needed.add(self._wireguard.device)
        if device not in needed or network.id not in self._open:
            return False
        self._open.discard(network.id)
        return True

    async def close(self, network: NetworkRecord) -> None:
        """Take away what ``open`` made."""
        async with self._kernel:
            self._open.discard(network.id)
            self._keeper.remove_network(network.id[:12])
            await self._keeper.settle()
            await offload.run("net", sandbox.delete_link, _tunnel(network.id))
            await offload.run("net", sandbox.delete_link, network.device)
            if self._wireguard is not None and self._wireguard.is_open and not self._is_secret():
                await self._wireguard.close()
        self._changed()

    def _is_secret(self) -> bool:
        """Whether an encrypted network is open here."""
        known = (self._registry.networks.get(network_id) for network_id in self._open)
        return any(network is not None and is_encrypted(network) for network in known)

    def _bridge_plan(self, network: NetworkRecord) -> BridgePlan:
        return BridgePlan(
            name=network.device,
            mac=mac_of(network),
            mtu=self.mtu_of(network),
            addresses=[f"{gateway_of(s)}/{s.cidr.partition('/')[2]}" for s in network.subnets],
            ipv6=network.ipv6,
            own=True,
        )

    def _remote(self, network: NetworkRecord, member: Member) -> Remote | None:
        cluster = self._cluster()
        node = cluster.nodes.get(member.node)
        if node is None or node.id == cluster.node.id:
            return None
        reached = node.address
        if is_encrypted(network) and self._wireguard is not None:
            reached = self._wireguard.address_of(node.id)
        return Remote(mac=member.mac, addresses=tuple(member.addresses), host=reached)

    def _in_order(self, work: Callable[[], None], name: str) -> None:
        async def act() -> None:
            async with self._kernel:
                await offload.run("net", work)

        self._tasks = [task for task in self._tasks if not task.done()]
        self._tasks.append(self._supervisor.start(act(), name))


def is_encrypted(network: NetworkRecord) -> bool:
    """Whether a network's packets are to be encrypted between hosts."""
    return ENCRYPTED in network.options and network.options[ENCRYPTED] not in {"false", "0"}


def _tunnel(network_id: str) -> str:
    return f"vx-{network_id[:12]}"
