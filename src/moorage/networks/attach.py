"""Joining and leaving: a container's sandbox as a whole.

Order of a join, each step undone if a later one fails::

    addresses and host ports (memory) → record (disk) → namespace and interfaces (kernel)
    → rules (nftables) → names → events

But for the rule that says whose its addresses are: that one is in force before an interface comes
up, and is put there while the namespace is made.

The record is written before the kernel is touched; ``leave`` works backwards from it, and after a
kill -9 it is what the next daemon cleans up by.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterable
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Final

from msgspec import structs

from moorage.lib import ids, offload
from moorage.lib.errors import Forbidden, InvalidParameter, MoorageError, System
from moorage.lib.failpoint import failpoint
from moorage.networks import endpoints, namefiles, nameport, naming, publishing, sandbox
from moorage.networks.domain import Domain
from moorage.networks.drivers import bridge, parent
from moorage.networks.firewall.rules import PortLink
from moorage.networks.nameport import NameSockets
from moorage.networks.ports import PortTaken, parse_port
from moorage.networks.records import Endpoint, NetworkRecord, SandboxRecord
from moorage.networks.sandbox import Gateway, Wire
from moorage.networks.values import Sandbox, SandboxRequest, SandboxSettings
from moorage.spec.engine.network import EndpointSettings

log = logging.getLogger(__name__)

CONFIGURATION_ONLY: Final = "cannot create endpoint on configuration-only network"


async def join(domain: Domain, request: SandboxRequest, namespace: int | None = None) -> Sandbox:
    """Make the sandbox of a container that starts, in *namespace* if given: all or nothing."""
    if (leaving := domain.leaving.get(request.container_id)) is not None:
        await leaving
    if request.container_id in domain.registry.sandboxes:
        await leave(domain, request.container_id)
    chosen = _choose(domain, request)
    if chosen and chosen[0][0].name == "host":
        return _host_sandbox(domain, request, chosen[0])
    async with AsyncExitStack() as undo:
        made = SandboxRecord(id=ids.new_id(), request=request)
        for network, settings in chosen:
            endpoint = await make_endpoint(domain, made, network, settings, undo)
            made = structs.replace(made, endpoints=[*made.endpoints, endpoint])
        try:
            published = publishing.take(domain, request, made.endpoints)
        except PortTaken as error:
            raise await publishing.refusal(domain, request, made.endpoints, error) from error
        undo.callback(publishing.release, domain, published)
        made = structs.replace(made, published=published)
        domain.building.add(made.id)
        undo.callback(domain.building.discard, made.id)
        domain.registry.enter_sandbox(made)
        undo.callback(_forget, domain, request.container_id)
        failpoint("networks.join.after_record")
        domain.keeper.add_owners(endpoints.owners(made.endpoints))
        undo.push_async_callback(_withdraw_rules, domain, made)
        files = namefiles.compose(domain, made)
        handle = domain.handle(made.id)
        wires = list(filter(None, (wire(domain, made, endpoint) for endpoint in made.endpoints)))
        gateway = endpoints.gateway(domain.registry, made.endpoints)
        served = namefiles.serves_names(domain, made)
        try:
            sockets = await offload.run_beside(
                domain.keeper.settle(),
                lambda ready: _build(
                    handle, wires, gateway, ready, served=served, namespace=namespace
                ),
            )
        except OSError as error:
            raise System(f"failed to set up the network namespace: {error}") from error
        undo.push_async_callback(_tear_down, domain, made)
        domain.building.discard(made.id)
        if sockets is not None:
            domain.names.tell({"op": "add", "sandbox": made.id}, sockets)
        undo.callback(naming.tell_left, domain, made)
        failpoint("networks.join.after_namespace")
        _note_rules(domain, made)
        await domain.keeper.settle()
        await publishing.forget_conversations(published)
        failpoint("networks.join.after_rules")
        naming.tell_joined(domain, made)
        for endpoint in made.endpoints:
            await tell_driver(domain, made, endpoint)
        undo.pop_all()
    for endpoint in made.endpoints:
        announce(domain, "connect", made, endpoint)
    return Sandbox(
        id=made.id,
        key=handle,
        hosts=files.hosts,
        resolv_conf=files.resolv_conf,
        settings=settings_of(domain, made),
        sysctls=request.sysctls,
    )


def _build(
    handle: Path,
    wires: list[Wire],
    gateway: Gateway,
    ready: Callable[[], None],
    *,
    served: bool,
    namespace: int | None,
) -> NameSockets | None:
    """Make the namespace and the name server's place in it. Blocking, for a throw-away thread."""
    sandbox.build(handle, wires, gateway, ready, namespace=namespace)
    if not served:
        return None
    try:
        return nameport.listen()
    except BaseException:
        _tear_down_now(handle, [wire.plug.port for wire in wires if wire.plug.port])
        raise


def _choose(
    domain: Domain, request: SandboxRequest
) -> list[tuple[NetworkRecord, EndpointSettings]]:
    """Return the networks to join, that of the network mode first, with the user's settings.

    Endpoints that leave out the network of the mode mean it: the container was taken off it.
    """
    first = _find(domain, request.network_mode or "default")
    by_id: dict[str, tuple[NetworkRecord, EndpointSettings]] = {}
    if not request.unplugged and _is_wanted(domain, first, request.endpoints):
        by_id[first.id] = (first, EndpointSettings(mac_address=request.mac_address))
    for ref, settings in request.endpoints.items():
        network = _find(domain, ref)
        if network.id == first.id and request.mac_address and not settings.mac_address:
            settings = structs.replace(settings, mac_address=request.mac_address)  # noqa: PLW2901
        by_id[network.id] = (network, settings)
    if len(by_id) > 1:
        for network, _ in by_id.values():
            refuse_lonely(network)
    for network, settings in by_id.values():
        if network.config_only:
            raise Forbidden(CONFIGURATION_ONLY)
        endpoints.check_settings(
            network, settings, names_on_default=domain.config.names_on_default_bridge
        )
    return list(by_id.values())


def _is_wanted(domain: Domain, network: NetworkRecord, refs: Iterable[str]) -> bool:
    known = [_find(domain, ref).id for ref in refs]
    return not known or network.id in known


def _find(domain: Domain, ref: str) -> NetworkRecord:
    """Find a network; who means the default bridge has none where the daemon is to make none."""
    if ref in {"default", "bridge"} and not domain.registry.has_name("bridge"):
        ref = "none"
    return domain.registry.find(ref)


def refuse_lonely(network: NetworkRecord) -> None:
    """Refuse to put a container on *network* beside others.

    Raises: InvalidParameter, with Docker's sentences.
    """
    if network.name == "host":
        raise InvalidParameter(
            "container cannot be disconnected from host network or connected to host network"
        )
    if network.name == "none":
        raise InvalidParameter(
            "container cannot be connected to multiple networks with one of the networks in"
            " private (none) mode"
        )


def _host_sandbox(
    domain: Domain, request: SandboxRequest, chosen: tuple[NetworkRecord, EndpointSettings]
) -> Sandbox:
    network, settings = chosen
    endpoint = Endpoint(id=ids.new_id(), network_id=network.id, interface="", settings=settings)
    made = SandboxRecord(id=ids.new_id(), request=request, endpoints=[endpoint])
    files = namefiles.of_host(domain, request)
    domain.registry.enter_sandbox(made)
    announce(domain, "connect", made, endpoint)
    return Sandbox(
        id=made.id,
        key=None,
        hosts=files.hosts,
        resolv_conf=files.resolv_conf,
        settings=settings_of(domain, made),
        sysctls=request.sysctls,
    )


async def make_endpoint(
    domain: Domain,
    made: SandboxRecord,
    network: NetworkRecord,
    settings: EndpointSettings,
    undo: AsyncExitStack,
) -> Endpoint:
    """Make an endpoint that holds its addresses; what undoes it goes on *undo*."""
    driver = domain.driver(network)
    endpoint = endpoints.make(
        domain.registry, network, settings, made.request, endpoints.taken_interfaces(made)
    )
    undo.callback(domain.registry.release_addresses, endpoint)
    if network.remote_pools and domain.ipam is not None:
        endpoint = await domain.ipam.request_addresses(network, endpoint)
        undo.push_async_callback(domain.ipam.release_addresses, network, endpoint)
    joining = domain.registry.joining
    joining[network.id] = joining.get(network.id, 0) + 1
    try:
        key = str(domain.handle(made.id))
        endpoint = await driver.create_endpoint(network, endpoint, key)
    finally:
        joining[network.id] -= 1
    undo.push_async_callback(driver.delete_endpoint, network, made.container_id, endpoint)
    if bridge.is_separate(network):
        endpoint = structs.replace(endpoint, links=_port_links(domain, made.request, endpoint))
    return endpoint


def _port_links(domain: Domain, request: SandboxRequest, endpoint: Endpoint) -> list[PortLink]:
    """Return the ports of linked containers that ``enable_icc=false`` leaves open."""
    found: list[PortLink] = []
    for link in request.links:
        other = domain.registry.sandboxes.get(link.container_id)
        if other is None:
            continue
        for far in other.endpoints:
            if far.network_id != endpoint.network_id or not far.ipv4:
                continue
            for key in other.request.exposed_ports:
                number, protocol = parse_port(key)
                found.append(
                    PortLink(
                        client=endpoint.ipv4.partition("/")[0],
                        server=far.ipv4.partition("/")[0],
                        protocol=protocol,
                        port=number,
                    )
                )
    return found


def wire(domain: Domain, made: SandboxRecord, endpoint: Endpoint) -> Wire | None:
    """Return how an endpoint is plugged in."""
    network = domain.registry.networks[endpoint.network_id]
    return domain.driver(network).wire(network, endpoint, hairpin=bool(made.published))


def _note_rules(domain: Domain, made: SandboxRecord) -> None:
    for endpoint in made.endpoints:
        domain.keeper.add_links(endpoint.links)
    publishing.open_ports(domain, made.id, made.published)


def note_existing(domain: Domain, made: SandboxRecord) -> None:
    """Note the rules and hold the ports of a sandbox that was there before this daemon."""
    domain.keeper.add_owners(endpoints.owners(made.endpoints))
    publishing.adopt(domain, made.published, owner=made.request.name)
    _note_rules(domain, made)


async def _withdraw_rules(domain: Domain, made: SandboxRecord) -> None:
    publishing.close_ports(domain, made.published)
    domain.keeper.remove_owners(endpoints.owners(made.endpoints))
    for endpoint in made.endpoints:
        domain.keeper.remove_links(endpoint.links)
    try:
        await domain.keeper.settle()
        await domain.forwarding.settle()
    except MoorageError as error:
        log.warning("rules of container %s stay for now: %s", made.container_id, error)


async def _tear_down(domain: Domain, made: SandboxRecord) -> None:
    handle = domain.handle(made.id)
    networks = domain.registry.networks
    sharing = [
        e.interface
        for e in made.endpoints
        if e.network_id in networks and networks[e.network_id].driver in parent.DRIVERS
    ]
    if sharing:
        await offload.run_disposable(sandbox.drop, handle, sharing)
    await offload.run("net", _tear_down_now, handle, [e.port for e in made.endpoints if e.port])


def _tear_down_now(handle: Path, ports: list[str]) -> None:
    for port in ports:
        sandbox.cut(port)
    sandbox.unpin(handle)


def _forget(domain: Domain, container_id: str) -> None:
    domain.registry.drop_sandbox(container_id)
    domain.registry.forget_sandbox(container_id)


async def leave(domain: Domain, container_id: str) -> None:
    """Release everything a container holds. Idempotent; never fails for what is gone.

    Host ports are free, and no rule leads to the container from them any more, when this returns;
    addresses are as soon as the old interface can no longer answer for them; the record goes last.
    """
    failpoint("networks.leave.before_record")
    made = domain.registry.drop_sandbox(container_id)
    if made is None:
        if (leaving := domain.leaving.get(container_id)) is not None:
            await leaving
        return
    publishing.release(domain, made.published)
    closed = asyncio.Event()
    task = domain.supervisor.start(_leave(domain, made, closed), f"leave {container_id[:12]}")
    domain.leaving[container_id] = task
    task.add_done_callback(lambda _: domain.leaving.pop(container_id, None))
    task.add_done_callback(lambda _: closed.set())  # however it ended
    for endpoint in made.endpoints:
        announce(domain, "disconnect", made, endpoint)
    if made.published:
        await closed.wait()


async def _leave(domain: Domain, made: SandboxRecord, closed: asyncio.Event) -> None:
    naming.tell_left(domain, made)
    await _withdraw_rules(domain, made)
    closed.set()
    await publishing.forget_conversations(made.published)
    await _tear_down(domain, made)
    for endpoint in made.endpoints:
        await delete_endpoint(domain, made, endpoint)
    domain.registry.forget_sandbox(made.container_id)


async def tell_driver(domain: Domain, made: SandboxRecord, endpoint: Endpoint) -> None:
    """Tell the driver that an endpoint is plugged in."""
    network = domain.registry.networks[endpoint.network_id]
    await domain.driver(network).joined(network, made.container_id, made.request.name, endpoint)


async def delete_endpoint(domain: Domain, made: SandboxRecord, endpoint: Endpoint) -> None:
    """Give back what an endpoint that is unplugged held."""
    domain.registry.release_addresses(endpoint)
    network = domain.registry.networks.get(endpoint.network_id)
    if network is None:
        return
    if network.remote_pools and domain.ipam is not None:
        await domain.ipam.release_addresses(network, endpoint)
    try:
        await domain.driver(network).delete_endpoint(network, made.container_id, endpoint)
    except MoorageError as error:
        log.warning("endpoint of %s on %s: %s", made.container_id, network.name, error)


def names_shown(domain: Domain, network: NetworkRecord) -> bool:
    """Whether a network's endpoints have names that others can look up."""
    if network.name in {"host", "none"}:
        return False
    return network.name != "bridge" or domain.config.names_on_default_bridge


def settings_of(domain: Domain, made: SandboxRecord) -> SandboxSettings:
    """Return what ``container inspect`` shows of a sandbox."""
    shown: dict[str, EndpointSettings] = {}
    on_host = False
    for endpoint in made.endpoints:
        network = domain.registry.networks.get(endpoint.network_id)
        if network is not None:
            on_host = on_host or network.name == "host"
            shown[network.name] = endpoints.shown(
                network, endpoint, names=names_shown(domain, network)
            )
    return SandboxSettings(
        sandbox_id=made.id,
        sandbox_key="" if on_host else str(domain.handle(made.id)),
        ports={} if on_host else publishing.shown(made),
        networks=shown,
    )


def announce(domain: Domain, action: str, made: SandboxRecord, endpoint: Endpoint) -> None:
    """Publish ``connect`` or ``disconnect``."""
    network = domain.registry.networks.get(endpoint.network_id)
    if network is not None:
        domain.announce(action, network, container=made.container_id)
