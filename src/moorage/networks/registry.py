"""The networks and sandboxes of this daemon in memory, beside their records on disk.

Everything that reads, reads here and never waits. All changes happen on the event loop, so between
two awaits nobody sees half of one.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator
from contextlib import contextmanager

from msgspec import structs

from moorage.lib.errors import Conflict, NotFound
from moorage.networks.ipam import IPNetwork, Pool, gateway_of
from moorage.networks.records import Endpoint, NetworkRecord, Records, SandboxRecord

BUILTIN = ("bridge", "host", "none")


def name_taken(name: str) -> Conflict:
    """Return the refusal of a second network of this name."""
    return Conflict(f"network with name {name} already exists")


class Registry:
    """Networks by id and name, their address pools, their endpoints by container."""

    def __init__(self, records: Records) -> None:
        self.records = records
        self.networks: dict[str, NetworkRecord] = {}
        self.pools: dict[str, list[Pool]] = {}
        self.sandboxes: dict[str, SandboxRecord] = {}
        self.members: dict[str, dict[str, Endpoint]] = {}  # network id -> container id -> endpoint
        # containers of other hosts: network id -> container id -> (names, addresses)
        self.remote: dict[str, dict[str, tuple[list[str], list[str]]]] = {}
        self.joining: dict[str, int] = {}  # network id -> endpoints that are being made
        self._ids: dict[str, str] = {}  # by name
        self._reserved: dict[
            str, list[IPNetwork]
        ] = {}  # by the name of what is being made, or goes

    def load(self) -> None:
        """Read all records, with the addresses they hold.

        A network may be removed while a container leaves it: a daemon killed then has left the
        record of an endpoint on a network that is gone. Its interface goes with the namespace.
        """
        for network in self.records.networks():
            self._enter(network)
        for saved in self.records.sandboxes():
            endpoints = [e for e in saved.endpoints if e.network_id in self.networks]
            sandbox = structs.replace(saved, endpoints=endpoints)
            self._enter_sandbox(sandbox)
            for endpoint in sandbox.endpoints:
                self._claim(endpoint)

    def find(self, ref: str) -> NetworkRecord:
        """Return the network with this id, name, or unique beginning of the id.

        Raises: NotFound, Conflict (several ids begin so).
        """
        if ref == "default":
            ref = "bridge"
        if (found := self.networks.get(ref)) is not None:
            return found
        if (network_id := self._ids.get(ref)) is not None:
            return self.networks[network_id]
        matches = [n for n in self.networks.values() if ref and n.id.startswith(ref)]
        if len(matches) > 1:
            raise Conflict(
                f"network {ref} is ambiguous ({len(matches)} matches found on ID prefix)",
                hint="give more digits of the id, or the name",
            )
        if not matches:
            raise NotFound(f"network {ref} not found")
        return matches[0]

    def has_name(self, name: str) -> bool:
        """Whether a network has this name."""
        return name in self._ids

    @contextmanager
    def reserving(self, name: str) -> Iterator[None]:
        """Keep a name from other networks while one is being made, or goes.

        Raises: Conflict, if it is taken.
        """
        if name in self._ids or name in self._reserved:
            raise name_taken(name)
        self._reserved[name] = []
        try:
            yield
        finally:
            del self._reserved[name]

    def reserve(self, network: NetworkRecord) -> None:
        """Keep the subnets of a network whose name is reserved from others, too."""
        own = network.ipam_driver == "default"
        subnets = [ipaddress.ip_network(s.cidr) for s in network.subnets if own]
        self._reserved[network.name] = subnets

    def subnets(self) -> Iterator[tuple[str, IPNetwork]]:
        """Return (network name, subnet) of all networks, and of those that are being made."""
        for network in self.networks.values():
            for pool in self.pools[network.id]:
                yield network.name, pool.network
        for name, subnets in self._reserved.items():
            for subnet in subnets:
                yield name, subnet

    def enter(self, network: NetworkRecord, *, save: bool = True) -> None:
        """Add or replace a network; its pools are made when it is new."""
        if network.id in self.networks:
            self.networks[network.id] = network
        else:
            self._enter(network)
        if save:
            self.records.save_network(network)

    def _enter(self, network: NetworkRecord) -> None:
        self.networks[network.id] = network
        self._ids[network.name] = network.id
        self.members.setdefault(network.id, {})
        own = network.ipam_driver == "default" and not network.config_only
        pools = [Pool(subnet) for subnet in network.subnets if own]
        for pool in pools:
            if not pool.subnet.lonely:
                pool.claim(gateway_of(pool.subnet))
            for text in pool.subnet.auxiliary.values():
                pool.claim(ipaddress.ip_address(text))
        self.pools[network.id] = pools

    def drop(self, network: NetworkRecord) -> None:
        """Forget a network."""
        self.hide(network)
        self.records.delete_network(network.id)

    def hide(self, network: NetworkRecord) -> None:
        """Take a network out of memory; its record stays."""
        self.networks.pop(network.id, None)
        self._ids.pop(network.name, None)
        self.members.pop(network.id, None)
        self.pools.pop(network.id, None)
        self.remote.pop(network.id, None)

    def enter_sandbox(self, sandbox: SandboxRecord) -> None:
        """Add or replace a sandbox, on disk first."""
        self.records.save_sandbox(sandbox)
        old = self.sandboxes.get(sandbox.container_id)
        for endpoint in old.endpoints if old else ():
            self.members.get(endpoint.network_id, {}).pop(sandbox.container_id, None)
        self._enter_sandbox(sandbox)

    def _enter_sandbox(self, sandbox: SandboxRecord) -> None:
        self.sandboxes[sandbox.container_id] = sandbox
        for endpoint in sandbox.endpoints:
            self.members.setdefault(endpoint.network_id, {})[sandbox.container_id] = endpoint

    def drop_sandbox(self, container_id: str) -> SandboxRecord | None:
        """Take a sandbox out of memory; its record stays until ``forget_sandbox``."""
        sandbox = self.sandboxes.pop(container_id, None)
        for endpoint in sandbox.endpoints if sandbox else ():
            self.members.get(endpoint.network_id, {}).pop(container_id, None)
        return sandbox

    def forget_sandbox(self, container_id: str) -> None:
        """Delete the record of a sandbox that is out of memory."""
        if container_id not in self.sandboxes:
            self.records.delete_sandbox(container_id)

    def _claim(self, endpoint: Endpoint) -> None:
        for text in filter(None, (endpoint.ipv4, endpoint.ipv6)):
            address = ipaddress.ip_interface(text).ip
            for pool in self.pools.get(endpoint.network_id, ()):
                if address in pool:
                    pool.claim(address)

    def release_addresses(self, endpoint: Endpoint) -> None:
        """Give the addresses of an endpoint back to the pools of its network."""
        for text in filter(None, (endpoint.ipv4, endpoint.ipv6)):
            address = ipaddress.ip_interface(text).ip
            for pool in self.pools.get(endpoint.network_id, ()):
                if address in pool:
                    pool.release(address)
