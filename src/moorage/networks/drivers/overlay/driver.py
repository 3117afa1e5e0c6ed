"""Overlay networks as a driver: hosts agree on networks and addresses through a store."""

from __future__ import annotations

import asyncio
import ipaddress
import logging
import socket
from collections.abc import Callable, Iterable, Iterator
from typing import Final

import msgspec
from msgspec import structs

from moorage.cluster import etcd as stores
from moorage.lib import ids, offload
from moorage.lib.errors import (
    Conflict,
    Forbidden,
    InvalidParameter,
    MoorageError,
    Unavailable,
)
from moorage.lib.tasks import Supervisor
from moorage.networks.config import NetworksConfig
from moorage.networks.drivers import options
from moorage.networks.drivers.overlay import forwarding, host
from moorage.networks.drivers.overlay.devices import Devices, is_encrypted
from moorage.networks.drivers.overlay.learner import Learner, member_of
from moorage.networks.drivers.overlay.membership import Membership
from moorage.networks.drivers.overlay.records import Keys, Member, Node
from moorage.networks.drivers.overlay.wireguard import Wireguard
from moorage.networks.drivers.wiring import bridge_port, wire_of
from moorage.networks.firewall.keeper import Keeper
from moorage.networks.firewall.rules import port_name
from moorage.networks.names import Packet
from moorage.networks.records import Endpoint, NetworkRecord
from moorage.networks.registry import Registry
from moorage.networks.sandbox import Wire

log = logging.getLogger(__name__)

VNI_LIST: Final = "com.docker.network.driver.overlay.vxlanid_list"
_FIRST_VNI: Final = 4097
_LAST_VNI: Final = (1 << 24) - 1
_NODE_FACT: Final = "cluster_node"
_ATTEMPTS: Final = 16


class Overlay:
    """Networks that span the hosts of a cluster."""

    name = "overlay"
    scope = "global"
    addressed = True
    translated = True
    foreign = False

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
        self._tell = tell
        self._supervisor = supervisor
        self._membership: Membership | None = None
        self._wireguard: Wireguard | None = None
        port = _number(config.cluster_store_opts, "vxlan-port", forwarding.VXLAN_PORT)
        self._devices = Devices(
            registry, keeper, supervisor, self._cluster, port=port, changed=self._tell_leases
        )
        self._learner = Learner(
            registry,
            self._devices,
            self._cluster,
            tell=tell,
            announce=announce,
            evict=evict,
            confirmed=self._tell_leases,
        )
        self._tasks: list[asyncio.Task[None]] = []

    # -- life of the driver

    async def open(self) -> None:
        """Join the cluster; a store that cannot be reached is tried again in the background."""
        config = self._config
        if not config.cluster_store:
            return
        ttl_s = _number(config.cluster_store_opts, "ttl", 30)
        etcd = stores.parse_store(
            config.cluster_store, config.cluster_store_opts, timeout_s=min(3.0, ttl_s / 3)
        )
        under = await offload.run("net", host.find, config.cluster_advertise)
        self._wireguard = Wireguard(
            config.instance,
            self._registry.records,
            self._supervisor,
            port=_number(config.cluster_store_opts, "wireguard-port", 51820),
        )
        self._devices.begin(self._wireguard, under.mtu)
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
            self._learner,
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
            self._supervisor.start(membership.fence_in_time(), "cluster fence"),
        ]

    async def close(self) -> None:
        """Leave the store alone; a host with running containers keeps its place in the cluster."""
        for task in self._tasks:
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks)
        if self._membership is not None:
            if not list(self._learner.own()):
                try:
                    await self._membership.retire()
                except MoorageError as error:
                    log.info("leaving the cluster: %s", error)
            await self._membership.etcd.close()

    def account(self) -> Iterator[Packet]:
        """Return what the name server must know to renew this host's leases in its absence."""
        cluster = self._membership
        if cluster is None:
            return
        tls = cluster.etcd.tls
        yield {
            "op": "leases",
            "endpoints": cluster.etcd.endpoints,
            "authorities": [str(path) for path in tls.authorities],
            "clients": [[str(certificate), str(key)] for certificate, key in tls.clients],
            "leases": cluster.leases,
            "confirmed": cluster.confirmed,
            "every": cluster.pace_s,
            "limit": cluster.limit_s,
            "tunnels": self._devices.tunnels,
        }

    def attended(self) -> None:
        """Note that the name server leaves the tunnels alone from now on.

        Until this daemon came it may have taken them down, even after they were brought up.
        """
        if self._membership is not None and self._membership.is_confirmed:
            self._learner.unfence()

    def _tell_leases(self) -> None:
        for packet in self.account():
            self._tell(packet)

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

    # -- networks

    def prepare(self, network: NetworkRecord) -> NetworkRecord:
        """Check the options."""
        options.mtu(network.options, 0)
        self._cluster()
        if is_encrypted(network) and self._wireguard is not None:
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
                stores.Put(keys.network(network.id), msgspec.json.encode(shared)),
                stores.Put(keys.generation, network.id.encode()),
            ],
            unchanged={keys.generation: generation.revision if generation else 0},
        )
        if done:
            cluster.networks[network.id] = shared
        return claimed if done else None

    async def create(self, network: NetworkRecord) -> NetworkRecord:
        """Nothing is made before a container comes; after a restart, what containers here need."""
        if self._registry.members.get(network.id):
            await self._devices.open(network)
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
            [stores.Put(cluster.keys.generation, network.id.encode())],
            deletes=[cluster.keys.network(network.id)],
        )
        cluster.networks.pop(network.id, None)

    async def remove(self, network: NetworkRecord) -> None:
        """Take the network away from this host."""
        await self._devices.close(network)

    def lost(self, network: NetworkRecord, device: str) -> bool:
        """Open a network anew that has lost its bridge, its tunnel, or what encrypts it."""
        return self._devices.lost(network, device)

    # -- endpoints

    async def create_endpoint(
        self, network: NetworkRecord, endpoint: Endpoint, key: str
    ) -> Endpoint:
        """Make the address this host's, with another one if a host was quicker; open the tunnel."""
        del key
        cluster = self._cluster()
        endpoint = await self._take_addresses(cluster, network, endpoint)
        try:
            await self._devices.open(network)
        except BaseException:
            await self._give_addresses_back(cluster, endpoint)
            raise
        name = port_name(
            self._config.instance, endpoint.id, separate=False, confined=endpoint.confined
        )
        return structs.replace(endpoint, port=name)

    async def _give_addresses_back(self, cluster: Membership, endpoint: Endpoint) -> None:
        """Do so now if the store can be reached; else the membership sweeps them up later."""
        for text in filter(None, (endpoint.ipv4, endpoint.ipv6)):
            address = text.partition("/")[0]
            try:
                await cluster.free_address(endpoint.network_id, address, endpoint.id)
            except MoorageError as error:
                log.info("address %s stays taken for now: %s", address, error)

    async def _take_addresses(
        self, cluster: Membership, network: NetworkRecord, endpoint: Endpoint
    ) -> Endpoint:
        ipam = endpoint.settings.ipam_config
        for attribute in ("ipv4", "ipv6"):
            text: str = getattr(endpoint, attribute)
            fixed = bool(ipam and getattr(ipam, f"{attribute}_address"))
            for _ in range(_ATTEMPTS):
                address = text.partition("/")[0]
                if not text or await cluster.take_address(network.id, address, endpoint.id):
                    break
                if fixed:
                    raise Forbidden("Address already in use", hint="on another host of the cluster")
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
            await self._devices.close(network)
        cluster = self._cluster()
        try:
            await cluster.withdraw(network.id, container_id)
        finally:
            await self._give_addresses_back(cluster, endpoint)

    def wire(self, network: NetworkRecord, endpoint: Endpoint, *, hairpin: bool) -> Wire:
        """Return a veth from the network's bridge."""
        mtu = self._devices.mtu_of(network)
        return wire_of(network, endpoint, bridge_port(network, endpoint, hairpin=hairpin), mtu=mtu)


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
