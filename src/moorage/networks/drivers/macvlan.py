"""The macvlan driver: containers with Ethernet addresses of their own on an interface's wire."""

from __future__ import annotations

import ipaddress
from contextlib import suppress
from typing import Final

from moorage.lib import offload
from moorage.lib.errors import InvalidParameter
from moorage.netlink import link, route
from moorage.netlink.nlsocket import NetlinkError, NetlinkSocket
from moorage.networks import sandbox
from moorage.networks.drivers import options, parent
from moorage.networks.drivers.contract import LocalDriver
from moorage.networks.drivers.wiring import wire_of
from moorage.networks.records import Endpoint, NetworkRecord
from moorage.networks.sandbox import Plug, Wire

MODE: Final = "macvlan_mode"
HOST_ACCESS: Final = "host_access"


class Macvlan(LocalDriver):
    """Networks on a wire of the host's.

    By nature of macvlan this host and its containers do not see one another. The option
    ``host_access=true`` mends that: an interface of the host's own on the same wire, and a route
    to each container through it.
    """

    name = "macvlan"
    scope = "local"
    addressed = True
    translated = False

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
            await offload.run("net", _open_access, network)
        return network

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
            await offload.run("net", _lead, network, endpoint, remove=False)
        return endpoint

    async def delete_endpoint(
        self, network: NetworkRecord, container_id: str, endpoint: Endpoint
    ) -> None:
        """Lead nowhere again."""
        del container_id
        if _accessible(network):
            await offload.run("net", _lead, network, endpoint, remove=True)

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


def _open_access(network: NetworkRecord) -> None:
    with NetlinkSocket() as host:
        device = link.read(host, network.device).index
        with suppress(NetlinkError):  # it is there already
            host.run(link.macvlan(access_name(network), parent=device, mode="bridge"))
        host.run(link.set_up(access_name(network)))


def _lead(network: NetworkRecord, endpoint: Endpoint, *, remove: bool) -> None:
    with NetlinkSocket() as host:
        for text in filter(None, (endpoint.ipv4, endpoint.ipv6)):
            target = ipaddress.ip_network(ipaddress.ip_interface(text).ip)
            if remove:
                with suppress(NetlinkError):
                    host.run(route.delete(target))
            else:
                access = link.read(host, access_name(network)).index
                host.run(route.add(target, interface=access))
