"""Overlay networks as a driver: what the store says becomes bridges, tunnels and names here."""

from __future__ import annotations

import asyncio
import ipaddress
import logging
import socket
from collections.abc import Callable, Iterable
from functools import partial
from typing import Final

import msgspec
from msgspec import structs

from moorage.cluster.etcd import Put, parse_store
from moorage.lib import ids, offload
from moorage.lib.errors import (
    Conflict,
    Forbidden,
    InvalidParameter,
    MoorageError,
    Unavailable,
)
from moorage.lib.tasks import Supervisor
from moorage.networks import sandbox
from moorage.networks.config import NetworksConfig
from moorage.networks.drivers import options
from moorage.networks.drivers.bridge import BridgePlan, link_local, make_bridge
from moorage.networks.drivers.overlay import forwarding, host
from moorage.networks.drivers.overlay.forwarding import Remote, Tunnel
from moorage.networks.drivers.overlay.membership import Membership
from moorage.networks.drivers.overlay.records import Keys, Member, Node
from moorage.networks.drivers.overlay.wireguard import Wireguard
from moorage.networks.firewall.keeper import Keeper
from moorage.networks.firewall.rules import NetworkRules, port_name
from moorage.networks.ipam import gateway_of
from moorage.networks.names import Packet
from moorage.networks.records import Endpoint, NetworkRecord
from moorage.networks.registry import Registry
from moorage.networks.sandbox import Plug, Wire

log = logging.getLogger(__name__)

ENCRYPTED: Final = "encrypted"
VNI_LIST: Final = "com.docker.network.driver.overlay.vxlanid_list"
_FIRST_VNI: Final = 4097
_LAST_VNI: Final = (1 << 24) - 1
_NODE_FACT: Final = "cluster_node"
_ATTEMPTS: Final = 16


class Overlay:
    """Networks that span the hosts of a cluster. Also the ``Listener`` of its membership."""

    name = "overlay"
    scope = "global"
    addressed = True
    translated = True

    def __init__(
        self,
        config: NetworksConfig,
        registry: Registry,
        keeper: Keeper,
        supervisor: Supervisor,
        *,
        tell: Callable[[Packet], None],
        announce: Callable[[str, NetworkRecord], None],
        evict: Callable[[str, str], None],
    ) -> None:
        self._config = config
        self._registry = registry
        self._keeper = keeper
        self._supervisor = supervisor
        self._tell = tell
        self._announce = announce
        self._evict = evict
        self._membership: Membership | None = None
        self._wireguard: Wireguard | None = None
        self._mtu = 0
        self._port = _number(config.cluster_store_opts, "vxlan-port", forwarding.VXLAN_PORT)
        self._devices: set[str] = set()  # networks with a bridge and tunnel here
        self._tasks: list[asyncio.Task[None]] = []
        self._kernel = asyncio.Lock()  # changes of tunnels happen in the order they were learned

    # -- life of the driver

    async def open(self) -> None:
        """Join the cluster; a store that cannot be reached is tried again in the background."""
        config = self._config
        if not config.cluster_store:
            return
        ttl_s = _number(config.cluster_store_opts, "ttl", 30)
        etcd = parse_store(
            config.cluster_store, config.cluster_store_opts, timeout_s=min(3.0, ttl_s / 3)
        )
        under = await offload.run("net", host.find, config.cluster_advertise)
        self._mtu = under.mtu
        self._wireguard = Wireguard(
            config.instance,
            self._registry.records,
            self._supervisor,
            port=_number(config.cluster_store_opts, "wireguard-port", 51820),
        )
        node = Node(
            id=self._node_id(),
            name=socket.gethostname(),
            address=under.address,
            wireguard_key=self._wireguard.public_key,
            wireguard_port=self._wireguard.port,
        )
        self._membership = membership = Membership(
            etcd,
            Keys(config.cluster_store_opts.get("prefix", "moorage")),
            node,
            self,
            ttl_s=ttl_s,
            address_ttl_s=_number(config.cluster_store_opts, "address-ttl", 600),
        )
        try:
            await membership.refresh()
            await membership.register()
        except MoorageError as error:
            log.warning("overlay networks must wait: %s", error)
        self._tasks = [
            self._supervisor.start(membership.follow(), "cluster watch"),
            self._supervisor.start(membership.keep_alive(), "cluster lease"),
        ]

    async def close(self) -> None:
        """Leave the store alone; a host with running containers keeps its place in the cluster."""
        for task in self._tasks:
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks)
        if self._membership is not None:
            if not list(self.own()):
                try:
                    await self._membership.retire()
                except MoorageError as error:
                    log.info("leaving the cluster: %s", error)
            await self._membership.etcd.close()

    def _node_id(self) -> str:
        known = self._registry.records.fact(_NODE_FACT)
        if not known:
            known = ids.new_id()[:25]
            self._registry.records.remember(_NODE_FACT, known)
        return known

    def _cluster(self) -> Membership:
        if self._membership is None:
            raise Forbidden(
                "This node is not a swarm manager, and overlay networks need a cluster store.",
                hint='set "cluster-store": "etcd://HOST:PORT" in daemon.json',
            )
        return self._membership

    @property
    def nodes(self) -> list[Node]:
        """The hosts that are alive."""
        return list(self._membership.nodes.values()) if self._membership else []

    # -- networks

    def prepare(self, network: NetworkRecord) -> NetworkRecord:
        """Check the options."""
        options.mtu(network.options, 0)
        self._cluster()
        if _encrypted(network) and self._wireguard is not None:
            self._wireguard.require()
        wanted = network.options.get(VNI_LIST, "").split(",")[0]
        if wanted and not (wanted.isdecimal() and 0 < int(wanted) <= _LAST_VNI):
            raise InvalidParameter(f"invalid vxlan id value {wanted!r} passed")
        return structs.replace(
            network, device=f"ov-{network.id[:12]}", vni=int(wanted or 0), own_device=True
        )

    async def refresh(self) -> None:
        """Learn of all networks of the cluster before a subnet is chosen.

        Raises: Unavailable, Forbidden.
        """
        await self._cluster().refresh()

    async def claim(self, network: NetworkRecord) -> NetworkRecord | None:
        """Enter a new network into the store; None if another host was quicker.

        Raises: Conflict (the name, or the VXLAN id asked for), Unavailable.
        """
        cluster = self._cluster()
        keys = cluster.keys
        generation = await cluster.etcd.get(keys.generation)
        await cluster.refresh()
        others = [n for n in cluster.networks.values() if n.id != network.id]
        if any(n.name == network.name for n in others):
            raise Conflict(f"network with name {network.name} already exists")
        if _overlaps(network, others):
            return None
        used = {n.vni for n in others}
        if network.vni in used and network.options.get(VNI_LIST):
            raise Conflict(f"VXLAN id {network.vni} is in use")
        vni = network.vni or next(n for n in range(_FIRST_VNI, _LAST_VNI) if n not in used)
        claimed = structs.replace(network, vni=vni)
        shared = structs.replace(claimed, own_device=True)
        done = await cluster.etcd.commit(
            [
                Put(keys.network(network.id), msgspec.json.encode(shared)),
                Put(keys.generation, network.id.encode()),
            ],
            unchanged={keys.generation: generation.revision if generation else 0},
        )
        if done:
            cluster.networks[network.id] = shared
        return claimed if done else None

    async def create(self, network: NetworkRecord) -> NetworkRecord:
        """Nothing is made before a container comes; after a restart, what containers here need."""
        if self._registry.members.get(network.id):
            await self._open_device(network)
        return network

    async def disclaim(self, network: NetworkRecord) -> None:
        """Take the network out of the store.

        Raises: Forbidden (containers of other hosts are on it), Unavailable.
        """
        cluster = self._cluster()
        if network.id not in cluster.networks:
            return
        found = await cluster.etcd.under(f"{cluster.keys.endpoints}{network.id}/")
        if found.entries:
            member = msgspec.json.decode(found.entries[0].value, type=Member)
            raise Forbidden(
                f"error while removing network: network {network.name} has active endpoints"
                f' (name:"{member.name}" on another host)'
            )
        await cluster.etcd.delete_all(f"{cluster.keys.addresses}{network.id}/")
        await cluster.etcd.commit(
            [Put(cluster.keys.generation, network.id.encode())],
            deletes=[cluster.keys.network(network.id)],
        )
        cluster.networks.pop(network.id, None)

    async def remove(self, network: NetworkRecord) -> None:
        """Take the network away from this host."""
        await self._close_device(network)

    # -- endpoints

    async def create_endpoint(
        self, network: NetworkRecord, endpoint: Endpoint, key: str
    ) -> Endpoint:
        """Make the address this host's, with another one if a host was quicker; open the tunnel."""
        del key
        cluster = self._cluster()
        endpoint = await self._take_addresses(cluster, network, endpoint)
        await self._open_device(network)
        return structs.replace(
            endpoint, port=port_name(self._config.instance, endpoint.id, separate=False)
        )

    async def _take_addresses(
        self, cluster: Membership, network: NetworkRecord, endpoint: Endpoint
    ) -> Endpoint:
        ipam = endpoint.settings.ipam_config
        for attribute in ("ipv4", "ipv6"):
            text: str = getattr(endpoint, attribute)
            fixed = bool(ipam and getattr(ipam, f"{attribute}_address"))
            for _ in range(_ATTEMPTS):
                if not text or await cluster.take_address(network.id, text.partition("/")[0]):
                    break
                if fixed:
                    raise Conflict("Address already in use", hint="on another host of the cluster")
                text = self._another(network, text)
                endpoint = structs.replace(endpoint, **{attribute: text})
            else:
                raise Unavailable("other hosts take the addresses faster than this one")
        return endpoint

    def _another(self, network: NetworkRecord, text: str) -> str:
        """Return the next address of the pool; *text* stays taken: it is another host's."""
        for pool in self._registry.pools[network.id]:
            if ipaddress.ip_interface(text).ip in pool and (found := pool.take()) is not None:
                return f"{found}/{pool.network.prefixlen}"
        raise InvalidParameter(
            f"no available addresses on this network's address pools: {network.name}"
        )

    async def joined(
        self, network: NetworkRecord, container_id: str, name: str, endpoint: Endpoint
    ) -> None:
        """Tell the cluster of a container that is on the network now."""
        del network
        cluster = self._cluster()
        await cluster.publish(member_of(cluster.node.id, container_id, name, endpoint))

    async def delete_endpoint(
        self, network: NetworkRecord, container_id: str, endpoint: Endpoint
    ) -> None:
        """Tell the cluster, give the addresses back; the last one closes the tunnel."""
        if not self._registry.members.get(network.id) and not self._registry.joining.get(
            network.id
        ):
            await self._close_device(network)
        cluster = self._cluster()
        await cluster.withdraw(network.id, container_id)
        for text in filter(None, (endpoint.ipv4, endpoint.ipv6)):
            await cluster.free_address(network.id, text.partition("/")[0])

    def wire(self, network: NetworkRecord, endpoint: Endpoint, *, hairpin: bool) -> Wire:
        """Return a veth from the network's bridge."""
        given = endpoint.settings.driver_opts or {}
        return Wire(
            plug=Plug(kind="veth", device=network.device, port=endpoint.port, hairpin=hairpin),
            interface=endpoint.interface,
            mac=endpoint.mac,
            mtu=self._mtu_of(network),
            addresses=[*filter(None, (endpoint.ipv4, endpoint.ipv6)), *link_local(endpoint)],
            ipv6=network.ipv6,
            sysctls=options.endpoint_sysctls(given, endpoint.interface),
        )

    # -- this host's devices

    def _tunnel_name(self, network: NetworkRecord) -> str:
        return f"vx-{network.id[:12]}"

    def _mtu_of(self, network: NetworkRecord) -> int:
        if asked := options.mtu(network.options, 0):
            return asked
        if _encrypted(network) and self._wireguard is not None:
            return self._wireguard.mtu(self._mtu) - forwarding.OVERHEAD6
        node = self._cluster().node
        return self._mtu - (forwarding.OVERHEAD6 if ":" in node.address else forwarding.OVERHEAD4)

    async def _open_device(self, network: NetworkRecord) -> None:
        async with self._kernel:
            if network.id in self._devices:
                return
            cluster = self._cluster()
            local, port = cluster.node.address, self._port
            if _encrypted(network) and self._wireguard is not None:
                await self._wireguard.open(cluster.node, self.nodes)
                local, port = self._wireguard.address_of(cluster.node.id), self._port + 1
                self._keeper.guard_tunnel(port, self._wireguard.device)
            await offload.run("net", make_bridge, self._bridge_plan(network))
            tunnel = Tunnel(
                name=self._tunnel_name(network),
                bridge=network.device,
                vni=network.vni,
                port=port,
                local=local,
                mtu=self._mtu_of(network),
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
            self._devices.add(network.id)

    async def _close_device(self, network: NetworkRecord) -> None:
        async with self._kernel:
            self._devices.discard(network.id)
            self._keeper.remove_network(network.id[:12])
            await self._keeper.settle()
            await offload.run("net", sandbox.delete_link, self._tunnel_name(network))
            await offload.run("net", sandbox.delete_link, network.device)
            if self._wireguard is not None and self._wireguard.is_open and not self._is_secret():
                await self._wireguard.close()

    def _is_secret(self) -> bool:
        """Whether an encrypted network is open here."""
        known = (self._registry.networks.get(network_id) for network_id in self._devices)
        return any(network is not None and _encrypted(network) for network in known)

    def _bridge_plan(self, network: NetworkRecord) -> BridgePlan:
        return BridgePlan(
            name=network.device,
            mac=bytes((0x02, 0x42, *bytes.fromhex(network.id[:8]))).hex(":"),
            mtu=self._mtu_of(network),
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
        if _encrypted(network) and self._wireguard is not None:
            reached = self._wireguard.address_of(node.id)
        return Remote(mac=member.mac, addresses=tuple(member.addresses), host=reached)

    def _in_order(self, work: Callable[[], None], name: str) -> None:
        async def act() -> None:
            async with self._kernel:
                await offload.run("net", work)

        self._tasks = [task for task in self._tasks if not task.done()]
        self._tasks.append(self._supervisor.start(act(), name))

    # -- what the membership learns

    def network_appeared(self, network: NetworkRecord) -> None:
        """Enter a network that another host has made."""
        if network.id in self._registry.networks:
            return
        if self._registry.has_name(network.name):
            log.warning("cluster network %s: a network of this host has its name", network.name)
            return
        self._registry.enter(network)
        self._tell({"op": "network", "network": network.id, "name": network.name})
        self._announce("create", network)

    def network_gone(self, network_id: str) -> None:
        """Forget a network that another host has removed."""
        network = self._registry.networks.get(network_id)
        if network is None or network.driver != self.name:
            return
        self._registry.drop(network)
        self._tell({"op": "gone", "network": network_id})
        self._announce("destroy", network)
        self._tasks.append(
            self._supervisor.start(self._close_device(network), f"close {network.name}")
        )

    def member_appeared(self, member: Member) -> None:
        """Lead to a container of another host, and let its names be found."""
        network = self._registry.networks.get(member.network)
        if network is None or member.node == self._cluster().node.id:
            return
        self._registry.remote.setdefault(member.network, {})[member.container] = (
            member.names,
            member.addresses,
        )
        self._tell(
            {
                "op": "member",
                "network": member.network,
                "container": member.container,
                "names": member.names,
                "addresses": member.addresses,
            }
        )
        remote = self._remote(network, member)
        if remote is not None and network.id in self._devices:
            work = partial(forwarding.add_remote, self._tunnel_name(network), remote)
            self._in_order(work, "forwarding entry")

    def member_gone(self, member: Member) -> None:
        """Lead there no longer."""
        network = self._registry.networks.get(member.network)
        if network is None or member.node == self._cluster().node.id:
            return
        self._registry.remote.get(member.network, {}).pop(member.container, None)
        self._tell({"op": "gone", "network": member.network, "container": member.container})
        remote = self._remote(network, member)
        if remote is not None and network.id in self._devices:
            work = partial(forwarding.drop_remote, self._tunnel_name(network), remote)
            self._in_order(work, "forwarding entry")

    def address_taken(self, network_id: str, address: str, node_id: str) -> None:
        """Keep an address of another host out of this host's hands."""
        if node_id != self._cluster().node.id:
            for pool in self._registry.pools.get(network_id, ()):
                if ipaddress.ip_address(address) in pool:
                    pool.claim(ipaddress.ip_address(address))

    def address_free(self, network_id: str, address: str) -> None:
        """Let an address be used again, unless a container here has it."""
        wanted = ipaddress.ip_address(address)
        for endpoint in self._registry.members.get(network_id, {}).values():
            if address in {endpoint.ipv4.partition("/")[0], endpoint.ipv6.partition("/")[0]}:
                return
        for pool in self._registry.pools.get(network_id, ()):
            if wanted in pool:
                pool.release(wanted)

    def nodes_changed(self) -> None:
        """Write the entries of all tunnels anew: a host may have come back at another address."""
        for network_id in self._devices:
            network = self._registry.networks.get(network_id)
            if network is None:
                continue
            for member in self._cluster().members.values():
                remote = self._remote(network, member) if member.network == network_id else None
                if remote is not None:
                    work = partial(forwarding.add_remote, self._tunnel_name(network), remote)
                    self._in_order(work, "forwarding entry")
        if self._wireguard is not None and self._wireguard.is_open:
            self._tasks.append(
                self._supervisor.start(
                    self._wireguard.set_peers(self._cluster().node, self.nodes), "peers"
                )
            )

    def own(self) -> Iterable[Member]:
        """Return this host's containers on overlay networks."""
        node = self._cluster().node
        for network in self._registry.networks.values():
            if network.driver == self.name:
                for container, endpoint in self._registry.members[network.id].items():
                    name = self._registry.sandboxes[container].request.name
                    yield member_of(node.id, container, name, endpoint)

    def fence(self) -> None:
        """Take the tunnels down."""
        names = [f"vx-{network_id[:12]}" for network_id in self._devices]
        self._in_order(partial(forwarding.set_tunnels, names, up=False), "fence")

    def unfence(self) -> None:
        """Bring the tunnels up."""
        names = [f"vx-{network_id[:12]}" for network_id in self._devices]
        self._in_order(partial(forwarding.set_tunnels, names, up=True), "unfence")

    def evicted(self, member: Member, address: str) -> None:
        """Take a container off the network whose address is another's now."""
        log.warning("%s has lost its address %s to another host", member.name, address)
        self._evict(member.network, member.container)


def member_of(node_id: str, container: str, name: str, endpoint: Endpoint) -> Member:
    """Return the shared description of an endpoint."""
    return Member(
        network=endpoint.network_id,
        container=container,
        node=node_id,
        name=name,
        mac=endpoint.mac,
        ipv4=endpoint.ipv4.partition("/")[0],
        ipv6=endpoint.ipv6.partition("/")[0],
        names=endpoint.names,
    )


def _encrypted(network: NetworkRecord) -> bool:
    return ENCRYPTED in network.options and network.options[ENCRYPTED] not in {"false", "0"}


def _overlaps(network: NetworkRecord, others: Iterable[NetworkRecord]) -> bool:
    mine = [ipaddress.ip_network(s.cidr) for s in network.subnets]
    return any(
        m.version == theirs.version and m.overlaps(theirs)
        for other in others
        for theirs in (ipaddress.ip_network(s.cidr) for s in other.subnets)
        for m in mine
    )


def _number(given: dict[str, str], name: str, default: int) -> int:
    text = given.get(name, "")
    if not text:
        return default
    if not text.isdecimal() or not int(text):
        raise InvalidParameter(f"cluster-store-opts: {name} must be a number, not {text!r}")
    return int(text)
