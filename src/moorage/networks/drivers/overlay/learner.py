"""What is learned of the cluster becomes networks, names and ways to other hosts."""

from __future__ import annotations

import ipaddress
import logging
from collections.abc import Callable, Iterable
from typing import Final

from moorage.networks.drivers.overlay.devices import Devices
from moorage.networks.drivers.overlay.membership import Membership
from moorage.networks.drivers.overlay.records import Member
from moorage.networks.names import Packet
from moorage.networks.records import Endpoint, NetworkRecord
from moorage.networks.registry import Registry

log = logging.getLogger(__name__)

DRIVER: Final = "overlay"


class Learner:
    """The ``Listener`` of this host's membership; *cluster* returns that membership."""

    def __init__(
        self,
        registry: Registry,
        devices: Devices,
        cluster: Callable[[], Membership],
        *,
        tell: Callable[[Packet], None],
        announce: Callable[[str, NetworkRecord], None],
        evict: Callable[[str, str], None],
        confirmed: Callable[[], None],
    ) -> None:
        self._registry = registry
        self._devices = devices
        self._cluster = cluster
        self._tell = tell
        self._announce = announce
        self._evict = evict
        self._confirmed = confirmed

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
        if network is None or network.driver != DRIVER:
            return
        self._registry.drop(network)
        self._tell({"op": "gone", "network": network_id})
        self._announce("destroy", network)
        self._devices.close_later(network)

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
        self._devices.lead_to(network, member)

    def member_gone(self, member: Member) -> None:
        """Lead there no longer."""
        network = self._registry.networks.get(member.network)
        if network is None or member.node == self._cluster().node.id:
            return
        self._registry.remote.get(member.network, {}).pop(member.container, None)
        self._tell({"op": "gone", "network": member.network, "container": member.container})
        self._devices.lead_no_more(network, member)

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
        """Lead to all hosts anew: one may have come back at another address."""
        self._devices.lead_anew()

    def own(self) -> Iterable[Member]:
        """Return this host's containers on overlay networks."""
        node = self._cluster().node
        for network in self._registry.networks.values():
            if network.driver == DRIVER:
                for container, endpoint in self._registry.members[network.id].items():
                    name = self._registry.sandboxes[container].request.name
                    yield member_of(node.id, container, name, endpoint)

    def confirmed(self) -> None:
        """Let the leases be renewed when this daemon is away."""
        self._confirmed()

    def fence(self) -> None:
        """Take the tunnels down."""
        self._devices.switch(up=False)

    def unfence(self) -> None:
        """Bring the tunnels up; what they answer ARP from was lost when they went down."""
        self._devices.switch(up=True)
        self._devices.lead_anew()

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
        endpoint=endpoint.id,
        ipv4=endpoint.ipv4.partition("/")[0],
        ipv6=endpoint.ipv6.partition("/")[0],
        names=endpoint.names,
    )
