"""Network drivers that are plugins: the ``NetworkDriver`` part of Docker's plugin protocol.

The plugin makes an interface on this host and says its name; it is moved into the sandbox, dressed
with addresses and routes, and handed back when the container leaves.
"""

from __future__ import annotations

import ipaddress
from typing import Final, TypeVar

from msgspec import Struct, field, structs

from moorage.lib.errors import MoorageError, System
from moorage.networks.drivers import options
from moorage.networks.records import Endpoint, NetworkRecord
from moorage.networks.sandbox import Plug, Wire
from moorage.plugins.protocol import Nothing, PluginClient, PluginRefusal
from moorage.plugins.registry import Plugins

AnswerT = TypeVar("AnswerT", bound=Struct)
SUBSYSTEM: Final = "NetworkDriver"
_GENERIC: Final = "com.docker.network.generic"
_TIMEOUT_S: Final = 30.0
_BY_DEVICE: Final = 1  # StaticRoute.RouteType: no next hop


class _Capabilities(Struct, frozen=True, rename="pascal"):
    scope: str = "local"


class _Pool(Struct, frozen=True, rename="pascal"):
    address_space: str
    pool: str
    gateway: str
    aux_addresses: dict[str, str]


class _CreateNetwork(Struct, frozen=True, rename="pascal"):
    network_id: str = field(name="NetworkID")
    options: dict[str, object]
    ipv4_data: list[_Pool] = field(name="IPv4Data")
    ipv6_data: list[_Pool] = field(name="IPv6Data")


class _Network(Struct, frozen=True, rename="pascal"):
    network_id: str = field(name="NetworkID")


class _Interface(Struct, frozen=True, rename="pascal"):
    address: str = ""
    address_ipv6: str = field(default="", name="AddressIPv6")
    mac_address: str = ""


class _CreateEndpoint(Struct, frozen=True, rename="pascal"):
    network_id: str = field(name="NetworkID")
    endpoint_id: str = field(name="EndpointID")
    interface: _Interface
    options: dict[str, object]


class _Created(Struct, frozen=True, rename="pascal"):
    interface: _Interface | None = None


class _Endpoint(Struct, frozen=True, rename="pascal"):
    network_id: str = field(name="NetworkID")
    endpoint_id: str = field(name="EndpointID")


class _Join(Struct, frozen=True, rename="pascal"):
    network_id: str = field(name="NetworkID")
    endpoint_id: str = field(name="EndpointID")
    sandbox_key: str
    options: dict[str, object]


class _InterfaceName(Struct, frozen=True, rename="pascal"):
    src_name: str = ""
    dst_prefix: str = ""
    dst_name: str = ""


class _Route(Struct, frozen=True, rename="pascal"):
    destination: str = ""
    route_type: int = 0
    next_hop: str = ""


class _Joined(Struct, frozen=True, rename="pascal"):
    interface_name: _InterfaceName | None = None
    gateway: str = ""
    gateway_ipv6: str = field(default="", name="GatewayIPv6")
    static_routes: list[_Route] | None = None


class Remote:
    """One plugin as a driver. What it answers is checked before it is believed."""

    addressed = True
    translated = False
    foreign = True

    def __init__(self, name: str, plugins: Plugins) -> None:
        self.name = name
        self.scope = "local"
        self._plugins = plugins

    async def refresh(self) -> None:
        """Find the plugin and learn the scope of its networks.

        Raises: NotFound, Unavailable, DeadlineExceeded.
        """
        client = await self._client()
        try:
            found = await client.call(
                "NetworkDriver.GetCapabilities", Nothing(), _Capabilities, timeout_s=_TIMEOUT_S
            )
        except PluginRefusal as error:
            raise System(f"{self.name}: {error.message}") from error
        self.scope = "global" if found.scope == "global" else "local"

    async def _client(self) -> PluginClient:
        return await self._plugins.get(self.name, SUBSYSTEM)

    async def _tell(self, method: str, request: Struct) -> None:
        await self._ask(method, request, Nothing)

    async def _ask(self, method: str, request: Struct, answer: type[AnswerT]) -> AnswerT:
        client = await self._client()
        try:
            return await client.call(f"{SUBSYSTEM}.{method}", request, answer, timeout_s=_TIMEOUT_S)
        except PluginRefusal as error:
            raise System(f"{self.name}: {SUBSYSTEM}.{method}: {error.message}") from error

    def prepare(self, network: NetworkRecord) -> NetworkRecord:
        """Options are the plugin's business."""
        return structs.replace(network, scope=self.scope, own_device=False)

    async def claim(self, network: NetworkRecord) -> NetworkRecord | None:
        """Let the plugin make the network."""
        await self._tell(
            "CreateNetwork",
            _CreateNetwork(
                network_id=network.id,
                options={
                    _GENERIC: network.options,
                    "com.docker.network.enable_ipv4": network.ipv4,
                    "com.docker.network.enable_ipv6": network.ipv6,
                    "com.docker.network.internal": network.internal,
                },
                ipv4_data=_pools(network, 4),
                ipv6_data=_pools(network, 6),
            ),
        )
        return network

    async def disclaim(self, network: NetworkRecord) -> None:
        """Let the plugin unmake the network."""
        await self._tell("DeleteNetwork", _Network(network_id=network.id))

    async def create(self, network: NetworkRecord) -> NetworkRecord:
        """The plugin keeps its networks over restarts of this daemon."""
        return network

    async def remove(self, network: NetworkRecord) -> None:
        """Nothing of it is ours."""

    def lost(self, network: NetworkRecord, device: str) -> bool:
        """Devices are the plugin's."""
        del network, device
        return False

    async def create_endpoint(
        self, network: NetworkRecord, endpoint: Endpoint, key: str
    ) -> Endpoint:
        """Let the plugin make the endpoint, then its interface; both or none."""
        given: dict[str, object] = dict(endpoint.settings.driver_opts or {})
        offered = _Interface(
            address=endpoint.ipv4, address_ipv6=endpoint.ipv6, mac_address=endpoint.mac
        )
        created = await self._ask(
            "CreateEndpoint",
            _CreateEndpoint(
                network_id=network.id, endpoint_id=endpoint.id, interface=offered, options=given
            ),
            _Created,
        )
        ids = {"network_id": network.id, "endpoint_id": endpoint.id}
        try:
            endpoint = self._with_interface(endpoint, created.interface or _Interface())
            joined = await self._ask("Join", _Join(**ids, sandbox_key=key, options=given), _Joined)
            return self._with_join(network, endpoint, joined)
        except BaseException:
            await self._forget(_Endpoint(**ids))
            raise

    def _with_interface(self, endpoint: Endpoint, made: _Interface) -> Endpoint:
        """Return the endpoint with what the plugin chose; it may not change what was given."""
        for ours, theirs in (
            (endpoint.ipv4, made.address),
            (endpoint.ipv6, made.address_ipv6),
            (endpoint.mac, made.mac_address),
        ):
            if ours and theirs and ours != theirs:
                raise System(f"plugin {self.name} changes an address it was given: {theirs}")
        return structs.replace(
            endpoint,
            ipv4=endpoint.ipv4 or self._address(made.address),
            ipv6=endpoint.ipv6 or self._address(made.address_ipv6),
            mac=endpoint.mac or made.mac_address,
        )

    def _address(self, text: str) -> str:
        try:
            return str(ipaddress.ip_interface(text)) if text else ""
        except ValueError as error:
            raise System(f"plugin {self.name} gives no address: {text!r}") from error

    def _with_join(self, network: NetworkRecord, endpoint: Endpoint, joined: _Joined) -> Endpoint:
        name = joined.interface_name or _InterfaceName()
        interface = endpoint.interface
        try:
            source = options.interface_name(name.src_name, "interface") if name.src_name else ""
            if name.dst_name or name.dst_prefix:
                number = interface.lstrip("abcdefghijklmnopqrstuvwxyz")
                wanted = name.dst_name or f"{name.dst_prefix}{number}"
                interface = options.interface_name(wanted, "interface")
            routes = [
                (
                    str(ipaddress.ip_network(route.destination)),
                    ""
                    if route.route_type == _BY_DEVICE
                    else str(ipaddress.ip_address(route.next_hop)),
                )
                for route in joined.static_routes or []
            ]
            gateways = [
                str(ipaddress.ip_address(text)) if text else ""
                for text in (joined.gateway, joined.gateway_ipv6)
            ]
        except (ValueError, MoorageError) as error:
            raise System(f"plugin {self.name}: Join makes no sense: {error}") from error
        if network.internal:
            gateways = ["", ""]
        return structs.replace(
            endpoint,
            interface=interface,
            port=source,
            gateway4=gateways[0],
            gateway6=gateways[1],
            routes=routes,
        )

    async def joined(
        self, network: NetworkRecord, container_id: str, name: str, endpoint: Endpoint
    ) -> None:
        """The plugin knows already."""

    async def delete_endpoint(
        self, network: NetworkRecord, container_id: str, endpoint: Endpoint
    ) -> None:
        """Let the plugin take its interface back and forget the endpoint."""
        del container_id
        which = _Endpoint(network_id=network.id, endpoint_id=endpoint.id)
        try:
            await self._tell("Leave", which)
        finally:
            await self._forget(which)

    async def _forget(self, which: _Endpoint) -> None:
        await self._tell("DeleteEndpoint", which)

    def wire(self, network: NetworkRecord, endpoint: Endpoint, *, hairpin: bool) -> Wire | None:
        """Return the plugin's interface, moved; a plugin may do without one."""
        del hairpin
        if not endpoint.port:
            return None
        given = endpoint.settings.driver_opts or {}
        return Wire(
            plug=Plug(kind="moved", device=endpoint.port),
            interface=endpoint.interface,
            mac=endpoint.mac,
            addresses=[*filter(None, (endpoint.ipv4, endpoint.ipv6))],
            ipv6=network.ipv6,
            routes=endpoint.routes,
            sysctls=options.endpoint_sysctls(given, endpoint.interface),
        )


def _pools(network: NetworkRecord, version: int) -> list[_Pool]:
    found: list[_Pool] = []
    for subnet in network.subnets:
        if (":" in subnet.cidr) == (version == 6):
            length = subnet.cidr.partition("/")[2]
            gateway = f"{subnet.gateway}/{length}" if subnet.gateway else ""
            found.append(
                _Pool(
                    address_space="LocalDefault",
                    pool=subnet.cidr,
                    gateway=gateway,
                    aux_addresses=subnet.auxiliary,
                )
            )
    return found
