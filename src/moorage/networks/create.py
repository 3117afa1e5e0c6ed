"""Creating a network: check, choose subnets, store, make."""

from __future__ import annotations

import ipaddress
import secrets
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager

from msgspec import structs

from moorage.lib import clock, ids
from moorage.lib.errors import Conflict, Forbidden, InvalidParameter, NotFound
from moorage.lib.failpoint import failpoint
from moorage.networks import hostlock, ipam, naming
from moorage.networks.config import AddressPool
from moorage.networks.domain import Domain
from moorage.networks.drivers import bridge, options, parent
from moorage.networks.ipam import IPNetwork, Subnet
from moorage.networks.records import NetworkRecord
from moorage.networks.registry import BUILTIN, name_taken
from moorage.networks.remoteipam import BUILT_IN
from moorage.spec.engine.network import IPAM, NetworkCreateRequest, NetworkCreateResponse

_ENABLE4 = "com.docker.network.enable_ipv4"
_ENABLE6 = "com.docker.network.enable_ipv6"
_ULA_FACT = "ula"
_ATTEMPTS = 8


async def create(domain: Domain, request: NetworkCreateRequest) -> NetworkCreateResponse:
    """Make a network: all or nothing. Events: ``network create``."""
    _refuse(domain, request)
    with domain.registry.reserving(request.name):
        network = _describe(domain, request)
        if network.config_only:
            domain.registry.enter(network)
        else:
            network = await _make(domain, network)
    naming.tell_network(domain, network)
    domain.announce("create", network)
    return NetworkCreateResponse(id=network.id)


async def _make(domain: Domain, network: NetworkRecord) -> NetworkRecord:
    """Give a network its subnets and device, and make it.

    A plugin may think for half a minute: it is asked while other networks can be made.
    """
    driver = domain.driver(network)
    if driver.foreign:
        await driver.refresh()
    if network.ipam_driver not in BUILT_IN:
        network = await _pools_of_plugin(domain, network)
    try:
        if driver.foreign:
            async with _choosing(domain):
                placed = _place(domain, network, await domain.watch.routes())
                domain.registry.reserve(placed)
            return await _settle(domain, await driver.claim(placed) or placed)
        async with _choosing(domain):
            return await _settle(domain, await _agree(domain, network))
    except BaseException:
        if domain.ipam is not None:
            await domain.ipam.release_pools(network)
        raise


@asynccontextmanager
async def _choosing(domain: Domain) -> AsyncIterator[None]:
    """Let nobody else on this host choose a subnet or a device."""
    async with domain.creating, hostlock.choosing():
        await domain.remains.wait_cleared()  # their names and subnets can be used again then
        yield


async def _pools_of_plugin(domain: Domain, network: NetworkRecord) -> NetworkRecord:
    if domain.ipam is None:
        raise NotFound(f'plugin "{network.ipam_driver}" not found')
    return await domain.ipam.request_pools(network)


def _place(domain: Domain, network: NetworkRecord, routes: Iterable[IPNetwork]) -> NetworkRecord:
    """Return a network with its subnets and its device, if they can be had on this host."""
    placed = domain.driver(network).prepare(choose_subnets(domain, network, routes))
    _refuse_same_device(domain, placed)
    return placed


async def _agree(domain: Domain, network: NetworkRecord) -> NetworkRecord:
    """Place a network, agreed on with the other hosts if there are any."""
    driver = domain.driver(network)
    for _ in range(_ATTEMPTS):
        await driver.refresh()
        placed = _place(domain, network, await domain.watch.routes())
        if (claimed := await driver.claim(placed)) is not None:
            return claimed
        if domain.registry.has_name(network.name):
            raise name_taken(network.name)
        if network.remote_pools:
            raise Conflict("the subnets of the IPAM plugin are in use on other hosts")
    raise Conflict("other hosts make networks faster than this one", hint="try again")


async def _settle(domain: Domain, network: NetworkRecord) -> NetworkRecord:
    """Record a network that is claimed, and make it in the kernel."""
    driver = domain.driver(network)
    domain.registry.enter(network)
    try:
        failpoint("networks.create.after_record")
        network = await driver.create(network)
        domain.registry.enter(network)
        failpoint("networks.create.after_driver")
    except BaseException:
        domain.registry.drop(network)
        await driver.disclaim(network)
        await driver.remove(network)
        raise
    return network


def _refuse(domain: Domain, request: NetworkCreateRequest) -> None:
    name = request.name
    if not name.strip():
        raise InvalidParameter("invalid name: name is empty")
    if any(not c.isprintable() or c == "/" for c in name):
        raise InvalidParameter(f"invalid name: {name!r}", hint="no '/' and no control characters")
    if name in {*BUILTIN, "default"} or name.startswith("container:"):
        raise Forbidden(f"operation is not permitted on predefined {name} network")
    if request.config_only and (
        request.internal or request.attachable or request.ingress or request.scope
    ):
        raise Forbidden(
            "configuration network can only contain network specific fields. Network operator"
            " fields like [ ingress | internal | attachable | scope ] are not supported."
        )
    if request.ingress:
        raise Forbidden(
            "ingress networks are made by swarm mode, which this engine does not have",
            hint="publish ports on a bridge or overlay network",
        )
    if request.scope == "swarm":
        raise Forbidden(
            "cannot create a swarm scoped network when swarm is not active",
            hint="leave --scope out",
        )
    if request.config_only and request.config_from and request.config_from.network:
        raise Forbidden("a configuration network cannot depend on another configuration network")
    if request.config_from and request.config_from.network:
        _check_config_from(domain, request)


def _check_config_from(domain: Domain, request: NetworkCreateRequest) -> None:
    assert request.config_from is not None  # noqa: S101 - the caller looked
    ref = request.config_from.network
    try:
        plain = not domain.registry.find(ref).config_only
    except NotFound as error:
        raise NotFound(f'configuration network "{ref}" does not exist') from error
    if plain:
        raise NotFound(
            f'configuration network "{ref}" does not exist', hint=f"{ref} is not --config-only"
        )
    if (request.ipam and (request.ipam.config or request.ipam.options)) or request.options:
        raise Forbidden(
            "user specified configurations are not supported if the network depends on a"
            " configuration network"
        )


def _refuse_same_device(domain: Domain, network: NetworkRecord) -> None:
    if not network.device:
        return
    for other in domain.registry.networks.values():
        if other.device != network.device:
            continue
        if {network.driver, other.driver} <= parent.DRIVERS:
            parent.refuse_shared(network, other)
        if network.driver == other.driver == "bridge":
            raise Forbidden(
                f"cannot create network {network.id} ({network.device}): conflicts with network"
                f" {other.id} ({other.device}): networks have same bridge name"
            )


def _describe(domain: Domain, request: NetworkCreateRequest) -> NetworkRecord:
    """Return the record of the request, before subnets are chosen."""
    driver = request.driver or "bridge"
    source: NetworkRecord | None = None
    if request.config_from and request.config_from.network:
        source = domain.registry.find(request.config_from.network)
    defaults = domain.config.default_network_opts.get(driver, {})
    given = {**defaults, **(source.options if source else request.options or {})}
    config = request.ipam or IPAM()
    subnets = source.subnets if source else _subnets(config)
    ipv4 = request.enable_ipv4
    ipv6 = request.enable_ipv6
    record = NetworkRecord(
        id=ids.new_id(),
        name=request.name,
        driver=driver,
        created_ns=clock.now_ns(),
        ipv4=options.boolean(given, _ENABLE4, default=True) if ipv4 is None else ipv4,
        ipv6=options.boolean(given, _ENABLE6, default=source.ipv6 if source else False)
        if not ipv6
        else True,
        internal=request.internal,
        attachable=request.attachable,
        config_only=request.config_only,
        config_from=source.name if source else "",
        options=given,
        labels=request.labels or {},
        ipam_driver=config.driver or "default",
        ipam_options=config.options or {},
        subnets=subnets,
        subnets_given=any(subnet.cidr for subnet in subnets),
    )
    if not record.ipv4 and not record.ipv6:
        raise InvalidParameter("IPv4 or IPv6 must be enabled")
    if not request.config_only:
        record = structs.replace(record, scope=domain.driver(record).scope)
    return record


def _subnets(config: IPAM) -> list[Subnet]:
    return [
        Subnet(
            cidr=item.subnet,
            ip_range=item.ip_range,
            gateway=item.gateway,
            auxiliary=item.auxiliary_addresses or {},
        )
        for item in config.config or []
    ]


def choose_subnets(
    domain: Domain,
    network: NetworkRecord,
    routes: Iterable[IPNetwork],
    pools: Iterable[AddressPool] = (),
) -> NetworkRecord:
    """Return *network* with a checked or chosen subnet for each IP version it has.

    Chosen ones keep clear of the networks of this daemon and of the host's *routes*.
    Raises: InvalidParameter, Forbidden (overlap).
    """
    if network.ipam_driver == "null":
        _check_without_addresses(network)
    if network.ipam_driver != "default" or not domain.driver(network).addressed:
        return network
    given = [s for s in network.subnets if s.cidr or s.gateway or s.ip_range or s.auxiliary]
    wrong = ipam.check_subnets(given, ipv4=network.ipv4, ipv6=network.ipv6)
    if wrong:
        raise InvalidParameter("invalid network config:\n" + "\n".join(wrong))
    taken = list(domain.registry.subnets())
    chosen: list[Subnet] = []
    for subnet in given:
        wanted = ipaddress.ip_network(subnet.cidr, strict=False)  # checked, if its family is on
        if not (network.ipv6 if wanted.version == 6 else network.ipv4):
            continue
        if wanted.network_address.is_unspecified and wanted.prefixlen:
            sized = [
                structs.replace(p, size=wanted.prefixlen) for p in _pools(domain, wanted.version)
            ]
            wanted = ipam.free_subnet(sized, _nets(taken), routes=routes, like=wanted.version)
            subnet = structs.replace(subnet, cidr=str(wanted))  # noqa: PLW2901
        ipam.refuse_overlap(wanted, taken)
        ipam.refuse_reserved(subnet)
        taken.append((network.name, wanted))
        chosen.append(subnet)
    for version, on in ((4, network.ipv4), (6, network.ipv6)):
        if on and not any(ipaddress.ip_network(s.cidr).version == version for s in chosen):
            own = [p for p in pools if (":" in p.base) == (version == 6)]
            found = ipam.free_subnet(
                own or _pools(domain, version), _nets(taken), routes=routes, like=version
            )
            chosen.append(Subnet(cidr=str(found)))
    return structs.replace(network, subnets=[_with_gateway(network, s) for s in chosen])


def _check_without_addresses(network: NetworkRecord) -> None:
    """Refuse the IPAM driver that gives no addresses, where there must be some.

    Raises: InvalidParameter, with Docker's sentences.
    """
    if network.subnets_given:
        raise InvalidParameter("null ipam driver does not handle specific address pool requests")
    if network.driver == bridge.Bridge.name:
        raise InvalidParameter("ipv4 pool is empty", hint="leave --ipam-driver out")


def _with_gateway(network: NetworkRecord, subnet: Subnet) -> Subnet:
    version = ipaddress.ip_network(subnet.cidr).version
    if subnet.gateway:
        return subnet
    if network.driver == bridge.Bridge.name and not bridge.has_gateway(network, version):
        return structs.replace(subnet, lonely=True)
    return structs.replace(subnet, gateway=str(ipam.gateway_of(subnet)))


def _nets(taken: Iterable[tuple[str, IPNetwork]]) -> list[IPNetwork]:
    return [network for _, network in taken]


def _pools(domain: Domain, version: int) -> list[AddressPool]:
    own = [p for p in domain.config.default_address_pools if (":" in p.base) == (version == 6)]
    if own:
        return own
    if version == 4:
        return list(ipam.DEFAULT_POOLS)
    return [AddressPool(base=ula(domain), size=64)]


def ula(domain: Domain) -> str:
    """Return this host's own /48 of unique local addresses (RFC 4193), the same for ever."""
    known = domain.registry.records.fact(_ULA_FACT)
    if not known:
        raw = b"\xfd" + secrets.token_bytes(5) + bytes(10)
        known = str(ipaddress.IPv6Network((raw, 48)))
        domain.registry.records.remember(_ULA_FACT, known)
    return known
