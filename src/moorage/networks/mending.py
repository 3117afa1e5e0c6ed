"""What the host has lost of a network is made again: a bridge, a tunnel, a container's interface.

Somebody deletes a device while the daemon runs; or the daemon is killed between two steps, or finds
at its start that the host has changed meanwhile.
"""

from __future__ import annotations

import logging
from collections import defaultdict
from collections.abc import Collection, Iterator
from contextlib import suppress
from pathlib import Path

from moorage.lib import offload
from moorage.lib.errors import MoorageError
from moorage.netlink import link
from moorage.netlink.nlsocket import NetlinkError, NetlinkSocket
from moorage.networks import attach, endpoints, sandbox
from moorage.networks.domain import Domain
from moorage.networks.records import Endpoint, SandboxRecord
from moorage.networks.sandbox import Wire

log = logging.getLogger(__name__)


def losers(domain: Domain, device: str) -> list[str]:
    """Return the ids of the networks that need *device*, which is gone; for most there are none."""
    return [
        network.id
        for network in domain.registry.networks.values()
        if not network.config_only and domain.driver(network).lost(network, device)
    ]


async def mend(domain: Domain, device: str, network_ids: Collection[str]) -> None:
    """Make *device* again for the networks that have lost it, unless they have been removed."""
    async with domain.creating:  # a network may be half made, or about to go
        for network_id in network_ids:
            network = domain.registry.networks.get(network_id)
            if network is None:
                continue
            try:
                found = await domain.driver(network).create(network)
                if found != network:
                    domain.registry.enter(found)
                await replug(domain, [network_id])
            except (MoorageError, OSError) as error:
                log.warning("%s was deleted and cannot be mended: %s", device, error)
            else:
                log.warning("%s was deleted from outside and has been restored", device)


async def replug(domain: Domain, network_ids: Collection[str]) -> None:
    """Plug in what of the containers' endpoints is not, on these networks.

    Raises: OSError.
    """
    await offload.run("net", _plug_ports, _ports(domain, network_ids))
    wanted = defaultdict[Path, list[str]](list)
    mine = list(_endpoints(domain, network_ids))
    for made, endpoint in mine:
        if attach.wire(domain, made, endpoint) is not None:
            wanted[domain.handle(made.id)].append(endpoint.interface)
    missing = await offload.run_disposable(sandbox.missing, wanted) if wanted else {}
    for made, endpoint in mine:
        if endpoint.interface in missing.get(domain.handle(made.id), ()):
            await _add(domain, made, endpoint)


async def _add(domain: Domain, made: SandboxRecord, endpoint: Endpoint) -> None:
    """Give a container back an interface; one that cannot be had is for its owner to see to."""
    wire = attach.wire(domain, made, endpoint)
    gateway = endpoints.gateway(domain.registry, made.endpoints)
    if wire is None:
        return
    who = f"interface {endpoint.interface} of container {made.request.name}"
    try:
        await offload.run_disposable(sandbox.add, domain.handle(made.id), wire, gateway)
    except OSError as error:
        log.warning("%s is gone and cannot be mended: %s", who, error)
    else:
        log.warning("%s was gone and has been restored", who)


def _endpoints(
    domain: Domain, network_ids: Collection[str]
) -> Iterator[tuple[SandboxRecord, Endpoint]]:
    for network_id in network_ids:
        for container_id, endpoint in domain.registry.members[network_id].items():
            yield domain.registry.sandboxes[container_id], endpoint


def _ports(domain: Domain, network_ids: Collection[str]) -> list[Wire]:
    """Return the wires that end in ports of bridges."""
    wires = (attach.wire(domain, made, e) for made, e in _endpoints(domain, network_ids))
    return [wire for wire in wires if wire is not None and wire.plug.kind == "veth"]


def _plug_ports(wires: list[Wire]) -> None:
    """Plug interfaces that are still there into their bridges. Blocking."""
    if not wires:
        return
    with NetlinkSocket() as host:
        links = {found.name: found for found in link.read_all(host)}
        for wire in wires:
            bridge, found = links.get(wire.plug.device), links.get(wire.plug.port)
            if bridge is None or found is None or found.master == bridge.index:
                continue
            with suppress(NetlinkError):  # its container has just left
                host.run(link.set_master(found.index, bridge.index))
                sandbox.set_port(host, wire)
                host.run(link.set_up(wire.plug.port))
