"""Address management by a plugin: the ``IpamDriver`` part of Docker's plugin protocol."""

from __future__ import annotations

import ipaddress
import logging
from typing import Final, TypeVar

from msgspec import Struct, field, structs

from moorage.lib.errors import MoorageError, System
from moorage.networks.ipam import Subnet
from moorage.networks.records import Endpoint, NetworkRecord
from moorage.plugins.protocol import Nothing, PluginRefusal
from moorage.plugins.registry import Plugins
from moorage.spec.engine.network import EndpointIPAMConfig

log = logging.getLogger(__name__)

AnswerT = TypeVar("AnswerT", bound=Struct)
SUBSYSTEM: Final = "IpamDriver"
BUILT_IN: Final = frozenset({"default", "null"})
_GATEWAY: Final = {"RequestAddressType": "com.docker.network.gateway"}
_TIMEOUT_S: Final = 30.0


class _Spaces(Struct, frozen=True, rename="pascal"):
    local_default_address_space: str = ""


class _RequestPool(Struct, frozen=True, rename="pascal"):
    address_space: str
    pool: str
    sub_pool: str
    options: dict[str, str]
    v6: bool


class _Pool(Struct, frozen=True, rename="pascal"):
    pool_id: str = field(default="", name="PoolID")
    pool: str = ""


class _ReleasePool(Struct, frozen=True, rename="pascal"):
    pool_id: str = field(name="PoolID")


class _RequestAddress(Struct, frozen=True, rename="pascal"):
    pool_id: str = field(name="PoolID")
    address: str
    options: dict[str, str]


class _Address(Struct, frozen=True, rename="pascal"):
    address: str = ""


class _ReleaseAddress(Struct, frozen=True, rename="pascal"):
    pool_id: str = field(name="PoolID")
    address: str


class RemoteIpam:
    """Asks IPAM plugins for pools and addresses."""

    def __init__(self, plugins: Plugins) -> None:
        self._plugins = plugins

    async def _ask(
        self, driver: str, method: str, request: Struct, answer: type[AnswerT]
    ) -> AnswerT:
        client = await self._plugins.get(driver, SUBSYSTEM)
        try:
            return await client.call(f"{SUBSYSTEM}.{method}", request, answer, timeout_s=_TIMEOUT_S)
        except PluginRefusal as error:
            raise System(f"{driver}: {SUBSYSTEM}.{method}: {error.message}") from error

    async def request_pools(self, network: NetworkRecord) -> NetworkRecord:
        """Return the network with the subnets and gateways that the plugin gives.

        On failure nothing is held.
        Raises: NotFound (plugin), System, Unavailable, DeadlineExceeded.
        """
        driver = network.ipam_driver
        spaces = await self._ask(driver, "GetDefaultAddressSpaces", Nothing(), _Spaces)
        asked = [s for s in network.subnets if s.cidr]
        for version, on in ((4, network.ipv4), (6, network.ipv6)):
            if on and not any((":" in s.cidr) == (version == 6) for s in asked):
                asked.append(Subnet(cidr="" if version == 4 else "v6"))
        done = structs.replace(network, subnets=[], remote_pools={})
        try:
            for subnet in asked:
                done = await self._request_pool(done, subnet, spaces.local_default_address_space)
        except BaseException:
            await self.release_pools(done)
            raise
        return done

    async def _request_pool(
        self, network: NetworkRecord, subnet: Subnet, space: str
    ) -> NetworkRecord:
        driver = network.ipam_driver
        got = await self._ask(
            driver,
            "RequestPool",
            _RequestPool(
                address_space=space,
                pool="" if subnet.cidr == "v6" else subnet.cidr,
                sub_pool=subnet.ip_range,
                options=network.ipam_options,
                v6=":" in subnet.cidr or subnet.cidr == "v6",
            ),
            _Pool,
        )
        try:
            cidr = str(ipaddress.ip_network(got.pool))
        except ValueError as error:
            raise System(f"IPAM plugin {driver} gives no subnet: {got.pool!r}") from error
        held = structs.replace(network, remote_pools={**network.remote_pools, cidr: got.pool_id})
        try:
            gateway = await self._ask(
                driver,
                "RequestAddress",
                _RequestAddress(pool_id=got.pool_id, address=subnet.gateway, options=_GATEWAY),
                _Address,
            )
            chosen = self._parse(driver, gateway.address).ip if gateway.address else ""
        except BaseException:
            await self.release_pools(held)
            raise
        filled = structs.replace(subnet, cidr=cidr, gateway=str(chosen))
        return structs.replace(held, subnets=[*network.subnets, filled])

    async def release_pools(self, network: NetworkRecord) -> None:
        """Give back the pools of a network; a plugin that fails is logged."""
        for cidr, pool_id in network.remote_pools.items():
            try:
                for subnet in network.subnets:
                    if subnet.cidr == cidr and subnet.gateway:
                        await self._release(network, pool_id, subnet.gateway)
                request = _ReleasePool(pool_id=pool_id)
                await self._ask(network.ipam_driver, "ReleasePool", request, Nothing)
            except MoorageError as error:
                log.warning("pool %s of network %s: %s", cidr, network.name, error)

    async def request_addresses(self, network: NetworkRecord, endpoint: Endpoint) -> Endpoint:
        """Return the endpoint with addresses of the plugin's pools; on failure it holds none."""
        ipam = endpoint.settings.ipam_config or EndpointIPAMConfig()
        done = endpoint
        try:
            for cidr, pool_id in network.remote_pools.items():
                six = ":" in cidr
                options = {"com.docker.network.endpoint.macaddress": done.mac} if done.mac else {}
                got = await self._ask(
                    network.ipam_driver,
                    "RequestAddress",
                    _RequestAddress(
                        pool_id=pool_id,
                        address=ipam.ipv6_address if six else ipam.ipv4_address,
                        options=options,
                    ),
                    _Address,
                )
                address = str(self._parse(network.ipam_driver, got.address))
                gateway = next((s.gateway for s in network.subnets if s.cidr == cidr), "")
                gateway = "" if network.internal else gateway
                done = (
                    structs.replace(done, ipv6=address, gateway6=gateway)
                    if six
                    else structs.replace(done, ipv4=address, gateway4=gateway)
                )
        except BaseException:
            await self.release_addresses(network, done)
            raise
        return done

    async def release_addresses(self, network: NetworkRecord, endpoint: Endpoint) -> None:
        """Give the addresses of an endpoint back; a plugin that fails is logged."""
        for cidr, pool_id in network.remote_pools.items():
            text = endpoint.ipv6 if ":" in cidr else endpoint.ipv4
            if not text:
                continue
            try:
                await self._release(network, pool_id, text.partition("/")[0])
            except MoorageError as error:
                log.warning("address %s of network %s: %s", text, network.name, error)

    async def _release(self, network: NetworkRecord, pool_id: str, address: str) -> None:
        request = _ReleaseAddress(pool_id=pool_id, address=address)
        await self._ask(network.ipam_driver, "ReleaseAddress", request, Nothing)

    @staticmethod
    def _parse(driver: str, text: str) -> ipaddress.IPv4Interface | ipaddress.IPv6Interface:
        try:
            return ipaddress.ip_interface(text)
        except ValueError as error:
            raise System(f"IPAM plugin {driver} gives no address: {text!r}") from error
