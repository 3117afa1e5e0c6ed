"""Endpoints: from what the user asked for to addresses, names and the plan of the interface.

Nothing here waits, so an address that is taken is taken before anybody else can look.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Iterator

from moorage.lib import ids
from moorage.lib.errors import InvalidParameter
from moorage.netlink.link import mac_bytes
from moorage.networks.drivers import options
from moorage.networks.drivers.ipvlan import BY_DEVICE
from moorage.networks.files import is_name
from moorage.networks.firewall.guard import Owner, own_link_local
from moorage.networks.ipam import Pool, claim_address, gateway_of, mac_for
from moorage.networks.records import Endpoint, NetworkRecord, SandboxRecord
from moorage.networks.registry import Registry
from moorage.networks.sandbox import Gateway
from moorage.networks.values import SandboxRequest
from moorage.spec.engine.network import EndpointIPAMConfig, EndpointSettings

_LAST_RESORT = 64  # interfaces in one sandbox: more names than anybody needs


def check_settings(
    network: NetworkRecord,
    settings: EndpointSettings,
    *,
    names_on_default: bool,
    connecting: bool = False,
) -> None:
    """Check what the user asked of one endpoint; who connects knows of which network it is.

    Raises: InvalidParameter, with Docker's sentences.
    """
    for link in settings.links or []:
        target, _, alias = link.partition(":")
        if not target or ":" in alias:
            raise InvalidParameter(f"bad format for links: {link}", hint="give name or name:alias")
    wrong = [
        *_check_addresses(network, settings.ipam_config or EndpointIPAMConfig()),
        *_check_aliases(network, settings.aliases or [], names_on_default=names_on_default),
        *_check_mac(settings.mac_address),
    ]
    if name := (settings.driver_opts or {}).get(options.IFNAME):
        options.interface_name(name, "interface name")
    options.endpoint_sysctls(settings.driver_opts or {}, "eth0")
    if wrong:
        of = "" if connecting else f"invalid config for network {network.name}: "
        raise InvalidParameter(f"{of}invalid endpoint settings:\n" + "\n".join(wrong))


def _check_addresses(network: NetworkRecord, ipam: EndpointIPAMConfig) -> Iterator[str]:
    asked = [text for text in (ipam.ipv4_address, ipam.ipv6_address) if text]
    if ipam.ipv4_address and not _is_address(ipam.ipv4_address, 4):
        yield f"invalid IPv4 address: {ipam.ipv4_address}"
    elif ipam.ipv6_address and not _is_address(ipam.ipv6_address, 6):
        yield f"invalid IPv6 address: {ipam.ipv6_address}"
    elif asked and network.name in {"bridge", "host", "none"}:
        yield "user specified IP address is supported on user defined networks only"
    elif asked and not network.subnets_given:
        yield (
            "user specified IP address is supported only when connecting to networks with"
            " user configured subnets"
        )
    else:
        subnets = [ipaddress.ip_network(s.cidr) for s in network.subnets]
        for text in asked:
            if not any(ipaddress.ip_address(text) in subnet for subnet in subnets):
                yield f"no configured subnet contains IP address {text}"
    for text in ipam.link_local_i_ps or []:
        known = _is_address(text, 4) or _is_address(text, 6)
        if not known or not ipaddress.ip_address(text).is_link_local:
            yield f"invalid link-local IP address: {text}"


def _check_aliases(
    network: NetworkRecord, aliases: list[str], *, names_on_default: bool
) -> Iterator[str]:
    nameless = {"host", "none"} if names_on_default else {"host", "none", "bridge"}
    if aliases and network.name in nameless:
        yield "network-scoped aliases are only supported for user-defined networks"
    for alias in aliases:
        if not alias.isprintable():  # of others, those that are no names are not answered to
            yield f"invalid network alias: {alias!r}"


def _check_mac(text: str) -> Iterator[str]:
    if not text:
        return
    try:
        first = mac_bytes(text)[0]
    except ValueError:
        yield f"invalid MAC address: {text}"
    else:
        if first & 1:
            yield f"invalid MAC address: {text} is a multicast address"


def _is_address(text: str, version: int) -> bool:
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        return False
    return address.version == version and not address.is_unspecified


def make(
    registry: Registry,
    network: NetworkRecord,
    settings: EndpointSettings,
    request: SandboxRequest,
    taken_names: Iterable[str],
) -> Endpoint:
    """Return a new endpoint that holds its addresses; on failure it holds none.

    Raises: Conflict (address in use), InvalidParameter, System (pool exhausted).
    """
    interface = _interface(network, settings, taken_names)
    held: list[tuple[Pool, ipaddress.IPv4Address | ipaddress.IPv6Address]] = []
    ipam = settings.ipam_config or EndpointIPAMConfig()
    try:
        for version, asked in ((4, ipam.ipv4_address), (6, ipam.ipv6_address)):
            pools = [p for p in registry.pools[network.id] if p.network.version == version]
            if pools:
                held.append(_address(network, pools, asked))
    except BaseException:
        for pool, address in held:
            pool.release(address)
        raise
    shown = {a.version: (f"{a}/{p.network.prefixlen}", p) for p, a in held}
    ipv4, pool4 = shown.get(4, ("", None))
    ipv6, pool6 = shown.get(6, ("", None))
    mac = settings.mac_address or (mac_for(held[0][1]) if held else "")
    return Endpoint(
        id=ids.new_id(),
        network_id=network.id,
        interface=interface,
        mac=mac,
        confined=request.confined and bool(mac),
        ipv4=ipv4,
        ipv6=ipv6,
        gateway4=str(gateway_of(pool4.subnet)) if pool4 and not network.internal else "",
        gateway6=str(gateway_of(pool6.subnet)) if pool6 and not network.internal else "",
        settings=settings,
        names=dns_names(request, settings),
    )


def _address(
    network: NetworkRecord, pools: list[Pool], asked: str
) -> tuple[Pool, ipaddress.IPv4Address | ipaddress.IPv6Address]:
    if asked:
        return claim_address(pools, asked)
    for pool in pools:
        if (address := pool.take()) is not None:
            return pool, address
    raise InvalidParameter(
        f"no available IPv{pools[0].network.version} addresses on this network's address pools:"
        f" {network.name} ({network.id})",
        hint="remove containers, or make a network with a wider --subnet or --ip-range",
    )


def _interface(
    network: NetworkRecord, settings: EndpointSettings, taken_names: Iterable[str]
) -> str:
    taken = set(taken_names)
    if wanted := (settings.driver_opts or {}).get(options.IFNAME):
        if wanted in taken or wanted == "lo":
            raise InvalidParameter(f"interface name {wanted} is taken in this container")
        return wanted
    prefix = network.options.get(options.PREFIX) or "eth"
    return next(
        name for n in range(len(taken) + _LAST_RESORT) if (name := f"{prefix}{n}") not in taken
    )


def dns_names(request: SandboxRequest, settings: EndpointSettings) -> list[str]:
    """Return the names the container answers to on a network: name, aliases, short id, hostname."""
    wanted = [
        request.name,
        *(settings.aliases or []),
        request.container_id[:12],
        request.hostname,
    ]
    return list(dict.fromkeys(name for name in wanted if name and is_name(name)))


def gateway(registry: Registry, endpoints: Iterable[Endpoint]) -> Gateway:
    """Return where a sandbox with *endpoints* sends packets for elsewhere.

    The highest ``GwPriority`` wins, then the network whose name sorts first.
    """

    def rank(endpoint: Endpoint) -> tuple[int, str]:
        return -endpoint.settings.gw_priority, registry.networks[endpoint.network_id].name

    ordered = sorted(endpoints, key=rank)
    first4 = next((e for e in ordered if e.gateway4), None)
    first6 = next((e for e in ordered if e.gateway6), None)
    return Gateway(
        ipv4=_hop(first4.gateway4) if first4 else "",
        ipv6=_hop(first6.gateway6) if first6 else "",
        interface4=first4.interface if first4 else "",
        interface6=first6.interface if first6 else "",
    )


def _hop(text: str) -> str:
    return "" if text == BY_DEVICE else text


def exit_endpoints(
    registry: Registry, endpoints: Iterable[Endpoint]
) -> tuple[Endpoint | None, Endpoint | None]:
    """Return the endpoints the default routes for IPv4 and IPv6 lead through."""
    known = list(endpoints)
    chosen = gateway(registry, known)
    by_interface = {e.interface: e for e in known}
    return by_interface.get(chosen.interface4), by_interface.get(chosen.interface6)


def shown(network: NetworkRecord, endpoint: Endpoint, *, names: bool) -> EndpointSettings:
    """Return the endpoint as ``container inspect`` shows it."""
    given = endpoint.settings
    ipv4, _, length4 = endpoint.ipv4.partition("/")
    ipv6, _, length6 = endpoint.ipv6.partition("/")
    return EndpointSettings(
        ipam_config=given.ipam_config,
        links=given.links,
        mac_address=endpoint.mac,
        aliases=given.aliases,
        driver_opts=given.driver_opts,
        gw_priority=given.gw_priority,
        network_id=network.id,
        endpoint_id=endpoint.id,
        gateway=_hop(endpoint.gateway4),
        ip_address=ipv4,
        ip_prefix_len=int(length4 or 0),
        ipv6_gateway=_hop(endpoint.gateway6),
        global_ipv6_address=ipv6,
        global_ipv6_prefix_len=int(length6 or 0),
        dns_names=endpoint.names if names else None,
    )


def owners(made: Iterable[Endpoint]) -> list[Owner]:
    """Return which addresses the confined ones of some endpoints may speak for."""
    found: list[Owner] = []
    for endpoint in made:
        if endpoint.confined and endpoint.port:
            ipam = endpoint.settings.ipam_config
            given = [t.partition("/")[0] for t in (endpoint.ipv4, endpoint.ipv6) if t]
            given += (ipam.link_local_i_ps if ipam else None) or []
            mac = mac_bytes(endpoint.mac).hex(":")
            addresses = (*map(_canonical, given), own_link_local(mac))
            found.append(Owner(port=endpoint.port, mac=mac, addresses=addresses))
    return found


def _canonical(text: str) -> str:
    return str(ipaddress.ip_address(text))


def taken_interfaces(sandbox: SandboxRecord) -> list[str]:
    """Return the interface names in use in a sandbox."""
    return [endpoint.interface for endpoint in sandbox.endpoints]
