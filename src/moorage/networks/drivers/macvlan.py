"""The macvlan driver: containers with Ethernet addresses of their own on an interface's wire."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import Final

from moorage.lib import offload
from moorage.lib.errors import InvalidParameter
from moorage.netlink import link, neighbour, route
from moorage.netlink.neighbour import IPAddress
from moorage.netlink.nlsocket import NetlinkError, NetlinkSocket
from moorage.networks import sandbox
from moorage.networks.drivers import options, parent
from moorage.networks.drivers.bridge import mac_of
from moorage.networks.drivers.contract import LocalDriver
from moorage.networks.drivers.wiring import wire_of
from moorage.networks.records import Endpoint, NetworkRecord
from moorage.networks.registry import Registry
from moorage.networks.sandbox import Plug, Wire

MODE: Final = "macvlan_mode"
HOST_ACCESS: Final = "host_access"


class Macvlan(LocalDriver):
    """Networks on a wire of the host's.

    By nature of macvlan this host and its containers do not see one another. The option
    ``host_access=true`` mends that: an interface of the host's own on the same wire, and a route
    to each container through it. Of that interface nobody but the containers ever hears: others on
    the wire would look for the host there, and lose it with the network.
    """

    name = "macvlan"
    scope = "local"
    addressed = True
    translated = False

    def __init__(self, registry: Registry) -> None:
        self._registry = registry

    def prepare(self, network: NetworkRecord) -> NetworkRecord:
        """Check the mode and name the parent."""
        mode = network.options.get(MODE, "bridge")
        if mode not in link.MACVLAN_MODES:
            raise InvalidParameter(
                f"requested macvlan mode '{mode}' is not valid, 'bridge' mode is the macvlan driver"
                " default",
                hint=", ".join(link.MACVLAN_MODES),
            )
        options.mtu(network.options, 0)
        if options.boolean(network.options, HOST_ACCESS, default=False) and mode != "bridge":
            raise InvalidParameter(f"{HOST_ACCESS} needs {MODE}=bridge")
        return parent.choose(network)

    async def create(self, network: NetworkRecord) -> NetworkRecord:
        """Find or make the parent, and the host's own access if it is wanted."""
        await offload.run("net", parent.ensure, network)
        if _accessible(network):
            endpoints = list(self._registry.members.get(network.id, {}).values())
            await offload.run("net", _open_access, network, endpoints)
        return network

    def lost(self, network: NetworkRecord, device: str) -> bool:
        """The host's own access is made again too."""
        return super().lost(network, device) or (
            _accessible(network) and device == access_name(network)
        )

    async def remove(self, network: NetworkRecord) -> None:
        """Delete what we made."""
        if _accessible(network):
            await offload.run("net", sandbox.drop_link, access_name(network))
        if network.own_device:
            await offload.run("net", sandbox.drop_link, network.device)

    async def create_endpoint(
        self, network: NetworkRecord, endpoint: Endpoint, key: str
    ) -> Endpoint:
        """Lead the host to the container, if it is wanted."""
        del key
        if _accessible(network):
            await offload.run("net", _lead, network, endpoint)
        return endpoint

    async def delete_endpoint(
        self, network: NetworkRecord, container_id: str, endpoint: Endpoint
    ) -> None:
        """Lead nowhere again."""
        del container_id
        if _accessible(network):
            await offload.run("net", _lead_no_more, network, endpoint)

    def wire(self, network: NetworkRecord, endpoint: Endpoint, *, hairpin: bool) -> Wire:
        """Return a macvlan of the parent."""
        del hairpin
        mode = network.options.get(MODE, "bridge")
        plug = Plug(kind="macvlan", device=network.device, mode=mode)
        return wire_of(network, endpoint, plug, mtu=options.mtu(network.options, 0))


def access_name(network: NetworkRecord) -> str:
    """Return the name of the host's own interface on the network's wire."""
    return f"mh-{network.id[:12]}"


def _accessible(network: NetworkRecord) -> bool:
    return options.boolean(network.options, HOST_ACCESS, default=False)


def _open_access(network: NetworkRecord, endpoints: Iterable[Endpoint]) -> None:
    name = access_name(network)
    with NetlinkSocket() as host:
        device = link.read(host, network.device).index
        with suppress(NetlinkError):  # it is there already
            # always the same Ethernet address: the containers go on knowing it
            host.run(link.macvlan(name, parent=device, mode="bridge", mac=mac_of(network)))
        # it answers for the host's addresses whom the host would reach through it, and no others
        Path(f"/proc/sys/net/ipv4/conf/{name}/arp_filter").write_text("1")
        host.run(link.set_up(name))
    for endpoint in endpoints:
        _lead(network, endpoint)


def _lead(network: NetworkRecord, endpoint: Endpoint) -> None:
    with NetlinkSocket() as host:
        access = link.read(host, access_name(network)).index
        for target in _addresses(endpoint):
            host.run(
                neighbour.answer(access, target, endpoint.mac),  # never to be asked for aloud
                route.add(ipaddress.ip_network(target), interface=access),
            )


def _lead_no_more(network: NetworkRecord, endpoint: Endpoint) -> None:
    with NetlinkSocket() as host, suppress(NetlinkError):
        access = link.read(host, access_name(network)).index
        for target in _addresses(endpoint):
            host.run_each(
                [
                    route.delete(ipaddress.ip_network(target), interface=access),
                    neighbour.forget_answer(access, target, endpoint.mac),
                ]
            )


def _addresses(endpoint: Endpoint) -> list[IPAddress]:
    given = filter(None, (endpoint.ipv4, endpoint.ipv6))
    return [ipaddress.ip_interface(text).ip for text in given]
