"""Publishing the ports of a sandbox: on which addresses of this host, and to which endpoint."""

from __future__ import annotations

import ipaddress
import logging
from collections.abc import Iterable

from msgspec import structs

from moorage.lib import offload
from moorage.lib.errors import InvalidParameter, System
from moorage.netlink import conntrack
from moorage.networks import ports, portuser
from moorage.networks.domain import Domain
from moorage.networks.drivers import bridge
from moorage.networks.endpoints import exit_endpoints
from moorage.networks.firewall.rules import Published
from moorage.networks.ports import PortTaken
from moorage.networks.records import Endpoint, NetworkRecord, SandboxRecord
from moorage.networks.values import SandboxRequest
from moorage.spec.engine.hostconfig import PortBinding

log = logging.getLogger(__name__)

_ANY4 = "0.0.0.0"  # noqa: S104 - Docker's word for every address
_ANY6 = "::"
FORWARDED = frozenset(
    {"tcp", "udp"}
)  # protocols that can be carried from one IP version to another


def take(domain: Domain, request: SandboxRequest, endpoints: list[Endpoint]) -> list[Published]:
    """Hold the host ports a container wants and return what is to be translated to where.

    On failure nothing is held.
    Raises: InvalidParameter, PortTaken, System.
    """
    wanted = ports.wishes(
        request.port_bindings, request.exposed_ports, publish_all=request.publish_all
    )
    if not wanted:
        return []
    targets = _targets(domain, endpoints)
    if not any(targets):
        return []
    published: list[Published] = []
    try:
        for wish in wanted:
            published += _take_one(domain, wish, targets, owner=request.name)
    except BaseException:
        release(domain, published)
        raise
    return published


async def refusal(
    domain: Domain, request: SandboxRequest, endpoints: list[Endpoint], taken: PortTaken
) -> System:
    """Return the error for a port that *taken* says is another's: Docker's, and whose it is."""
    exit4, exit6 = exit_endpoints(domain.registry, endpoints)
    endpoint = exit4 or exit6
    where = f"{request.name} ({endpoint.id if endpoint else ''})"
    hint = taken.hint
    if taken.port and (user := await offload.run("fs", portuser.find, taken.protocol, taken.port)):
        hint = f"{user} of this host listens there"
    return System(
        f"driver failed programming external connectivity on endpoint {where}: {taken.message}",
        hint=hint,
    )


def change(
    domain: Domain, request: SandboxRequest, endpoints: list[Endpoint], held: list[Published]
) -> list[Published]:
    """Hold the host ports a running container wants from now on, instead of *held*.

    One that is wanted still is never let go; a free one that was chosen for a port stays chosen.
    On failure *held* is held as before.
    Raises: InvalidParameter, PortTaken, System.
    """
    wanted = ports.wishes(
        request.port_bindings, request.exposed_ports, publish_all=request.publish_all
    )
    targets = _targets(domain, endpoints) if wanted else (None, None)
    if not any(targets):
        wanted = []
    found: list[Published] = []
    others: list[ports.Wish] = []
    for wish in wanted:
        used = {_key(port) for port in found}
        free = [port for port in held if _key(port) not in used]
        kept = _kept(wish, _pairs(domain, wish, targets), free)
        found += kept
        if not kept:
            others.append(wish)
    hold(domain, found, instead_of=held, owner=request.name)
    taken: list[Published] = []
    try:
        for wish in others:
            taken += _take_one(domain, wish, targets, owner=request.name)
    except BaseException:
        hold(domain, held, instead_of=[*found, *taken], owner=request.name)
        raise
    return [*found, *taken]


def hold(
    domain: Domain,
    wanted: Iterable[Published],
    *,
    instead_of: Iterable[Published],
    owner: str,
) -> None:
    """Hold the host ports of *wanted* and no longer those of *instead_of*; what both have stays."""
    new, old = ({_key(port): port for port in ports} for ports in (wanted, instead_of))
    release(domain, (port for key, port in old.items() if key not in new))
    adopt(domain, (port for key, port in new.items() if key not in old), owner=owner)


def _kept(wish: ports.Wish, pairs: list[_Pair], held: list[Published]) -> list[Published]:
    """Return what *wish* publishes on host ports that are *held* for it already, or nothing."""
    same = [port for port in held if port.protocol == wish.protocol]
    ours = [port.host_port for port in same if port.container_port == wish.port]
    numbers = [wish.first] if wish.first and wish.first == wish.last else ours
    for number in numbers:
        if wish.first and not wish.first <= number <= wish.last:
            continue
        if {(host, number) for host, _, _ in pairs} <= {(p.host, p.host_port) for p in same}:
            return [_published(wish, pair, number) for pair in pairs]
    return []


def _key(port: Published) -> tuple[str, str, int]:
    return port.protocol, port.host, port.host_port


def open_ports(domain: Domain, sandbox_id: str, published: list[Published]) -> None:
    """Note that what comes to *published* is to be led to the sandbox."""
    domain.keeper.publish(published)
    domain.forwarding.publish(domain.handle(sandbox_id), published)


def close_ports(domain: Domain, published: list[Published]) -> None:
    """Note that what comes to *published* is to be led nowhere."""
    domain.keeper.unpublish(published)
    domain.forwarding.unpublish(published)


def release(domain: Domain, published: Iterable[Published]) -> None:
    """Let go of host ports."""
    for port in published:
        domain.host_ports.free(port.protocol, port.host, port.host_port)


async def forget_conversations(published: Iterable[Published]) -> None:
    """Let UDP conversations that began under other rules begin anew."""
    ports = {port.host_port for port in published if port.protocol == "udp"}
    if ports:
        try:
            await offload.run("net", conntrack.forget_udp, ports)
        except OSError as error:
            log.info("connection tracking of UDP ports %s: %s", sorted(ports), error)


def adopt(domain: Domain, published: Iterable[Published], *, owner: str) -> None:
    """Hold the host ports of a container that was running before this daemon."""
    for port in published:
        domain.host_ports.hold(port.protocol, port.host, port.host_port, owner=owner, adopt=True)


def retarget(
    domain: Domain, published: list[Published], endpoints: list[Endpoint]
) -> list[Published]:
    """Return *published* led to the endpoints that packets now leave through.

    A port whose IP version has lost its way out keeps its old target: its host port stays held,
    and a later connection brings it back.
    """
    targets = _targets(domain, endpoints)
    found: list[Published] = []
    for port in published:
        version6 = ":" in port.container
        target = targets[1] if version6 else targets[0]
        if target is None:
            found.append(port)
            continue
        network, endpoint = target
        inside = (endpoint.ipv6 if version6 else endpoint.ipv4).partition("/")[0]
        mode = network.options.get(bridge.MODE6 if version6 else bridge.MODE4)
        found.append(structs.replace(port, container=inside, routed=mode == "routed"))
    return found


Target = tuple[NetworkRecord, Endpoint] | None


def _targets(domain: Domain, endpoints: list[Endpoint]) -> tuple[Target, Target]:
    found: list[Target] = []
    for endpoint in exit_endpoints(domain.registry, endpoints):
        target: Target = None
        if endpoint is not None:
            network = domain.registry.networks[endpoint.network_id]
            if domain.driver(network).translated and not network.internal:
                target = (network, endpoint)
        found.append(target)
    return found[0], found[1]


_Pair = tuple[str, NetworkRecord, str]  # host address, network, container address


def _take_one(
    domain: Domain, wish: ports.Wish, targets: tuple[Target, Target], *, owner: str
) -> list[Published]:
    pairs = _pairs(domain, wish, targets)
    number = domain.host_ports.take(wish, [host for host, _, _ in pairs], owner=owner)
    return [_published(wish, pair, number) for pair in pairs]


def _pairs(domain: Domain, wish: ports.Wish, targets: tuple[Target, Target]) -> list[_Pair]:
    """Return where a port is to be published, and what each address leads to.

    Raises: InvalidParameter.
    """
    pairs: list[_Pair] = []
    for version, target, every, option in (
        (4, targets[0], _ANY4, bridge.HOST_BINDING4),
        (6, targets[1], _ANY6, bridge.HOST_BINDING6),
    ):
        if target is None:
            continue
        network, endpoint = target
        default = network.options.get(option) or domain.config.ip
        host = wish.host_ip or default or every
        if ipaddress.ip_address(host).version != version:
            continue
        inside = (endpoint.ipv4 if version == 4 else endpoint.ipv6).partition("/")[0]
        pairs.append((str(ipaddress.ip_address(host)), network, inside))
    return pairs or [_forwarded_pair(domain, wish, targets)]


def _forwarded_pair(domain: Domain, wish: ports.Wish, targets: tuple[Target, Target]) -> _Pair:
    """Return what a process is to forward, from one IP version to the other.

    Raises: InvalidParameter, if the network is one that routes or the protocol no process forwards.
    """
    host = wish.host_ip or domain.config.ip
    target = targets[0] or targets[1]
    if target is not None and wish.protocol in FORWARDED and host:
        network, endpoint = target
        inside = (endpoint.ipv4 if target is targets[0] else endpoint.ipv6).partition("/")[0]
        mode = network.options.get(bridge.MODE4 if target is targets[0] else bridge.MODE6)
        if mode != "routed":
            return str(ipaddress.ip_address(host)), network, inside
    raise InvalidParameter(
        f"cannot publish port {wish.port}/{wish.protocol} on {host}:"
        " the container has no address of that IP version",
        hint="make the network with --ipv6, or give a host address of the other version",
    )


def _published(wish: ports.Wish, pair: _Pair, number: int) -> Published:
    host, network, inside = pair
    return Published(
        protocol=wish.protocol,
        host=host,
        host_port=number,
        container=inside,
        container_port=wish.port,
        routed=network.options.get(bridge.MODE6 if ":" in inside else bridge.MODE4) == "routed",
    )


def shown(sandbox: SandboxRecord) -> dict[str, list[PortBinding] | None]:
    """Return the ports as ``container inspect`` shows them: exposed ones, and where published."""
    found: dict[str, list[PortBinding] | None] = {}
    for key in (*sandbox.request.exposed_ports, *sandbox.request.port_bindings):
        number, protocol = ports.parse_port(key)
        found.setdefault(f"{number}/{protocol}", None)
    for port in sandbox.published:
        key = f"{port.container_port}/{port.protocol}"
        binding = PortBinding(host_ip=port.host, host_port=str(port.host_port))
        found[key] = [*(found.get(key) or []), binding]
    return found
