"""The ipvlan driver: containers share an interface's Ethernet address, not its IP ones."""

from __future__ import annotations

from typing import Final

from msgspec import structs

from moorage.lib import offload
from moorage.lib.errors import InvalidParameter
from moorage.netlink import link
from moorage.networks import sandbox
from moorage.networks.drivers import options, parent
from moorage.networks.drivers.contract import LocalDriver
from moorage.networks.drivers.wiring import wire_of
from moorage.networks.records import Endpoint, NetworkRecord
from moorage.networks.sandbox import Plug, Wire

MODE: Final = "ipvlan_mode"
FLAG: Final = "ipvlan_flag"
BY_DEVICE: Final = "device"  # a gateway that is no address: packets go out of the interface


class Ipvlan(LocalDriver):
    """Networks that switch (``l2``) or route (``l3``, ``l3s``) on an interface of the host's."""

    name = "ipvlan"
    scope = "local"
    addressed = True
    translated = False

    def prepare(self, network: NetworkRecord) -> NetworkRecord:
        """Check mode and flag, and name the parent."""
        for option, known, default, named in (
            (MODE, link.IPVLAN_MODES, "l2", "'l2' mode"),
            (FLAG, link.IPVLAN_FLAGS, "bridge", "'bridge'"),
        ):
            value = network.options.get(option, default)
            if value not in known:
                raise InvalidParameter(
                    f"requested {option.replace('_', ' ')} '{value}' is not valid,"
                    f" {named} is the ipvlan driver default",
                    hint=", ".join(known),
                )
        options.mtu(network.options, 0)
        return parent.choose(network)

    async def create(self, network: NetworkRecord) -> NetworkRecord:
        """Find or make the parent."""
        await offload.run("net", parent.ensure, network)
        return network

    async def remove(self, network: NetworkRecord) -> None:
        """Delete the parent if we made it."""
        if network.own_device:
            await offload.run("net", sandbox.drop_link, network.device)

    async def create_endpoint(
        self, network: NetworkRecord, endpoint: Endpoint, key: str
    ) -> Endpoint:
        """An ipvlan has no Ethernet address of its own; in l3 modes its way out is itself."""
        del key
        if endpoint.settings.mac_address:
            raise InvalidParameter("ipvlan interfaces do not support custom mac address assignment")
        changed = structs.replace(endpoint, mac="")
        if network.options.get(MODE, "l2") == "l2" or network.internal:
            return changed
        return structs.replace(
            changed,
            gateway4=BY_DEVICE if endpoint.ipv4 else "",
            gateway6=BY_DEVICE if endpoint.ipv6 else "",
        )

    def wire(self, network: NetworkRecord, endpoint: Endpoint, *, hairpin: bool) -> Wire:
        """Return an ipvlan of the parent."""
        del hairpin
        plug = Plug(
            kind="ipvlan",
            device=network.device,
            mode=network.options.get(MODE, "l2"),
            flag=network.options.get(FLAG, "bridge"),
        )
        return wire_of(network, endpoint, plug, mtu=options.mtu(network.options, 0))
