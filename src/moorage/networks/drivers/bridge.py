"""The bridge driver: one Linux bridge for each network, with this host as its router."""

from __future__ import annotations

import errno
import ipaddress
import os
from contextlib import suppress
from typing import Final

from msgspec import Struct, structs

from moorage.lib import offload
from moorage.lib.errors import Conflict, InvalidParameter
from moorage.netlink import address, link, route
from moorage.netlink.nlsocket import NetlinkError, NetlinkSocket
from moorage.networks import sandbox
from moorage.networks.drivers import options
from moorage.networks.drivers.contract import LocalDriver
from moorage.networks.drivers.wiring import bridge_port, wire_of
from moorage.networks.firewall.keeper import Keeper
from moorage.networks.firewall.rules import NetworkRules, port_name
from moorage.networks.ipam import gateway_of
from moorage.networks.records import Endpoint, NetworkRecord
from moorage.networks.remains import Remains
from moorage.networks.sandbox import Wire

NAME: Final = "com.docker.network.bridge.name"
ICC: Final = "com.docker.network.bridge.enable_icc"
MASQUERADE: Final = "com.docker.network.bridge.enable_ip_masquerade"
HOST_BINDING4: Final = "com.docker.network.bridge.host_binding_ipv4"
HOST_BINDING6: Final = "com.docker.network.bridge.host_binding_ipv6"
DEFAULT_BRIDGE: Final = "com.docker.network.bridge.default_bridge"
TRUSTED: Final = "com.docker.network.bridge.trusted_host_interfaces"
INHIBIT4: Final = "com.docker.network.bridge.inhibit_ipv4"
MODE4: Final = "com.docker.network.bridge.gateway_mode_ipv4"
MODE6: Final = "com.docker.network.bridge.gateway_mode_ipv6"
SOURCE4: Final = "com.docker.network.host_ipv4"
SOURCE6: Final = "com.docker.network.host_ipv6"
MODES: Final = ("nat", "nat-unprotected", "routed", "isolated")
DEFAULT_MTU: Final = 1500
_LOOPBACK6: Final = ipaddress.ip_network("::1/128")


class BridgePlan(Struct, frozen=True, kw_only=True):
    """A bridge as it is to be in the kernel."""

    name: str
    mac: str
    mtu: int
    addresses: list[str]
    ipv6: bool
    own: bool
    exclusive: bool = False  # not to be shared: the default bridge under a name of our choice


class BridgeTaken(Conflict):
    """Another daemon's bridge has the name that was chosen for our default bridge."""


def is_separate(network: NetworkRecord) -> bool:
    """Whether the containers of a bridge are kept from one another."""
    return network.driver == "bridge" and not options.boolean(network.options, ICC, default=True)


class Bridge(LocalDriver):
    """Networks on this host, joined to the world by routing."""

    name = "bridge"
    scope = "local"
    addressed = True
    translated = True

    def __init__(
        self, keeper: Keeper, remains: Remains, *, allow_direct_routing: bool, default_mtu: int
    ) -> None:
        self._keeper = keeper
        self._remains = remains
        self._allow_direct_routing = allow_direct_routing
        self._default_mtu = default_mtu or DEFAULT_MTU

    def prepare(self, network: NetworkRecord) -> NetworkRecord:
        """Check the options and name the bridge."""
        given = network.options
        options.mtu(given, self._default_mtu)
        for name in (ICC, MASQUERADE, INHIBIT4):
            options.boolean(given, name, default=True)
        for name, version in ((HOST_BINDING4, 4), (HOST_BINDING6, 6), (SOURCE4, 4), (SOURCE6, 6)):
            options.address(given, name, version)
        for name in (MODE4, MODE6):
            mode = given.get(name, "nat")
            if mode not in MODES:
                raise InvalidParameter(f"unknown gateway mode {mode}", hint=", ".join(MODES))
            if mode == "isolated" and not network.internal:
                raise InvalidParameter(
                    "gateway mode 'isolated' can only be used for an internal network"
                )
        for interface in filter(None, given.get(TRUSTED, "").split(":")):
            options.interface_name(interface, "trusted host interface")
        for version in (4, 6):
            if sum(_version(s.cidr) == version for s in network.subnets) > 1:
                raise InvalidParameter(
                    f"bridge driver doesn't support multiple IPv{version} subnets",
                    hint="macvlan, ipvlan and overlay networks take several",
                )
        device = options.interface_name(
            given.get(NAME, "") or f"br-{network.id[:12]}", "bridge name"
        )
        return structs.replace(network, device=network.device or device)

    async def create(self, network: NetworkRecord) -> NetworkRecord:
        """Make or take the bridge, give it the gateway's addresses, and enter its rules."""
        own = await offload.run("net", make_bridge, self._plan(network))
        network = structs.replace(network, own_device=own and network.own_device)
        try:
            self._keeper.add_network(self._rules(network))
            await self._keeper.settle()
        except BaseException:
            self._keeper.remove_network(network.id[:12])
            if network.own_device:
                await offload.run("net", sandbox.delete_link, network.device)
            raise
        return network

    async def remove(self, network: NetworkRecord) -> None:
        """Take the rules away and let the bridge go if it is ours."""
        self._keeper.remove_network(network.id[:12])
        await self._keeper.settle()
        if network.own_device:
            self._remains.add(network.device, mac_of(network))

    async def create_endpoint(
        self, network: NetworkRecord, endpoint: Endpoint, key: str
    ) -> Endpoint:
        """Name the bridge port."""
        del key
        name = port_name(
            self._keeper.instance,
            endpoint.id,
            separate=is_separate(network),
            confined=endpoint.confined,
        )
        return structs.replace(endpoint, port=name)

    def wire(self, network: NetworkRecord, endpoint: Endpoint, *, hairpin: bool) -> Wire:
        """Return a veth from the bridge."""
        mtu = options.mtu(network.options, self._default_mtu)
        return wire_of(network, endpoint, bridge_port(network, endpoint, hairpin=hairpin), mtu=mtu)

    def _plan(self, network: NetworkRecord) -> BridgePlan:
        addresses = []
        for subnet in network.subnets:
            version = _version(subnet.cidr)
            inhibited = version == 4 and options.boolean(network.options, INHIBIT4, default=False)
            if not _isolated(network, version) and not inhibited and not network.fixed_address:
                length = subnet.cidr.partition("/")[2]
                addresses.append(f"{gateway_of(subnet)}/{length}")
        return BridgePlan(
            name=network.device,
            mac=mac_of(network),
            mtu=options.mtu(network.options, self._default_mtu),
            addresses=addresses,
            ipv6=network.ipv6,
            own=network.own_device,
            exclusive=network.own_device and DEFAULT_BRIDGE in network.options,
        )

    def _rules(self, network: NetworkRecord) -> NetworkRules:
        given = network.options
        mode4, mode6 = given.get(MODE4, "nat"), given.get(MODE6, "nat")
        return NetworkRules(
            tag=network.id[:12],
            bridge=network.device,
            subnets=tuple(s.cidr for s in network.subnets),
            internal=network.internal,
            masquerade=options.boolean(given, MASQUERADE, default=True),
            source4=options.address(given, SOURCE4, 4),
            source6=options.address(given, SOURCE6, 6),
            open4=mode4 == "nat-unprotected" or self._allow_direct_routing,
            open6=mode6 == "nat-unprotected" or self._allow_direct_routing,
            routed4=mode4 == "routed",
            routed6=mode6 == "routed",
            trusted=tuple(filter(None, given.get(TRUSTED, "").split(":"))),
        )


def has_gateway(network: NetworkRecord, version: int) -> bool:
    """Whether anything of a network is, or leads to, a gateway of this IP version.

    Without one a subnet of two addresses (/31) has room for two containers.
    """
    inhibited = version == 4 and options.boolean(network.options, INHIBIT4, default=False)
    return not _isolated(network, version) and not (inhibited and network.internal)


def _isolated(network: NetworkRecord, version: int) -> bool:
    return network.options.get(MODE4 if version == 4 else MODE6) == "isolated"


def mac_of(network: NetworkRecord) -> str:
    """Return the Ethernet address of a network's bridge."""
    return bytes((0x02, 0x42, *bytes.fromhex(network.id[:8]))).hex(":")


def make_bridge(plan: BridgePlan) -> bool:
    """Make the kernel agree with *plan*; return whether the bridge was made by us. Blocking.

    Raises: Conflict, if something else than a bridge has the name.
    """
    with NetlinkSocket() as host:
        own = plan.own
        try:
            found = link.read(host, plan.name)
        except NetlinkError as error:
            if error.errno != errno.ENODEV:
                raise
            host.run(link.bridge(plan.name, mac=plan.mac, mtu=plan.mtu))
            found = link.read(host, plan.name)
            own = True
        else:
            if found.kind != "bridge":
                raise Conflict(
                    f"existing interface {plan.name} is not a bridge",
                    hint="choose another name with -o com.docker.network.bridge.name",
                )
            own = plan.own and found.address == plan.mac
            if plan.exclusive and not own:
                raise BridgeTaken(f"the bridge {plan.name} belongs to another daemon")
        _tune(plan)
        host.run(link.set_up(plan.name))
        for text in plan.addresses:
            host.run(address.add(found.index, ipaddress.ip_interface(text)))
        if plan.ipv6:
            # Answers to what this host asked through [::1] come back on the bridge; without this
            # route the kernel would not take them there. Nobody outside can use it: packets to
            # ::1 from a wire are dropped before any rule (RFC 4291, 2.5.3).
            host.run(route.add_local(_LOOPBACK6, found.index))
    return own


def _tune(plan: BridgePlan) -> None:
    """Set the bridge's sysctls.

    ``route_localnet`` lets this host reach published ports through 127.0.0.1; the rules keep
    packets from the bridge out of 127.0.0.0/8 (CVE-2020-8558).
    """
    for name, value in (
        (f"ipv4/conf/{plan.name}/route_localnet", "1"),
        (f"ipv6/conf/{plan.name}/accept_ra", "0"),
        # Duplicate detection would keep the link-local address tentative for seconds after the
        # first port, and without it the bridge asks for no neighbour on behalf of others.
        (f"ipv6/conf/{plan.name}/accept_dad", "0"),
        (f"ipv6/conf/{plan.name}/dad_transmits", "0"),
        (f"ipv6/conf/{plan.name}/disable_ipv6", "0" if plan.ipv6 else "1"),
    ):
        with suppress(FileNotFoundError):  # a kernel without IPv6
            fd = os.open(f"/proc/sys/net/{name}", os.O_WRONLY | os.O_CLOEXEC)
            try:
                os.write(fd, value.encode())
            finally:
                os.close(fd)


def _version(cidr: str) -> int:
    return 6 if ":" in cidr else 4
