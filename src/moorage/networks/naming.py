"""What the name server is told: networks, members, and what each sandbox may see."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from moorage.networks import files, namefiles
from moorage.networks.domain import Domain
from moorage.networks.names import Packet
from moorage.networks.records import Endpoint, NetworkRecord, SandboxRecord


def account(domain: Domain) -> Iterator[Packet]:
    """Return every packet of a full account."""
    for network in domain.registry.networks.values():
        yield network_packet(network)
        for container_id, endpoint in domain.registry.members[network.id].items():
            yield member_packet(container_id, endpoint)
        for container_id, (names, addresses) in domain.registry.remote.get(network.id, {}).items():
            yield _member(network.id, container_id, names, addresses)
    for made in domain.registry.sandboxes.values():
        if namefiles.serves_names(domain, made):
            yield view_packet(domain, made)


def handles(domain: Domain) -> dict[str, Path]:
    """Return the namespaces of the sandboxes that are served, by sandbox id.

    One that is being built is not among them: who builds it listens in it, and tells.
    """
    return {
        made.id: domain.handle(made.id)
        for made in domain.registry.sandboxes.values()
        if made.id not in domain.building and namefiles.serves_names(domain, made)
    }


def network_packet(network: NetworkRecord) -> Packet:
    """Return the packet that introduces a network."""
    return {"op": "network", "network": network.id, "name": network.name}


def member_packet(container_id: str, endpoint: Endpoint) -> Packet:
    """Return the packet about a container's names on a network."""
    addresses = [t.partition("/")[0] for t in (endpoint.ipv4, endpoint.ipv6) if t]
    names = endpoint.names if addresses else []
    return _member(endpoint.network_id, container_id, names, addresses)


def _member(network: str, container: str, names: list[str], addresses: list[str]) -> Packet:
    return {
        "op": "member",
        "network": network,
        "container": container,
        "names": names,
        "addresses": addresses,
    }


def view_packet(domain: Domain, made: SandboxRecord) -> Packet:
    """Return the packet about what a sandbox sees and whom it may ask.

    A sandbox that is on internal networks alone has nobody asked for it outside: questions would
    be a way out (CVE-2024-29018).
    """
    request = made.request
    outside = any(not domain.registry.networks[e.network_id].internal for e in made.endpoints)
    config = domain.config
    servers: list[str] | None = None
    if not outside:
        servers = []
    elif request.dns or config.dns:
        servers = [files.check_server(s) for s in request.dns or config.dns]
    return {
        "op": "view",
        "sandbox": made.id,
        "networks": [e.network_id for e in made.endpoints if _named(domain, e)],
        "links": {e.network_id: _links(domain, made, e) for e in made.endpoints},
        "host": namefiles.gateways(domain, made) if config.names_on_default_bridge else [],
        "servers": servers,
        "inside": bool(request.dns),
    }


def _named(domain: Domain, endpoint: Endpoint) -> bool:
    network = domain.registry.networks[endpoint.network_id]
    return network.name != "bridge" or domain.config.names_on_default_bridge


def _links(domain: Domain, made: SandboxRecord, endpoint: Endpoint) -> dict[str, str]:
    """Return alias: name, of the endpoint's own links and of the container's."""
    found: dict[str, str] = {}
    for text in endpoint.settings.links or []:
        name, _, alias = text.partition(":")
        found[(alias or name).lower()] = name.lower()
    for link in made.request.links:
        if link.container_id in domain.registry.members[endpoint.network_id]:
            found[link.alias.lower()] = link.name.lower()
    return found


def tell_network(domain: Domain, network: NetworkRecord, *, gone: bool = False) -> None:
    """Tell of a network that is new, or gone."""
    if gone:
        domain.names.tell({"op": "gone", "network": network.id})
    else:
        domain.names.tell(network_packet(network))


def tell_joined(domain: Domain, made: SandboxRecord) -> None:
    """Tell of a container's names and of what it sees."""
    for endpoint in made.endpoints:
        domain.names.tell(member_packet(made.container_id, endpoint))
    if namefiles.serves_names(domain, made):
        domain.names.tell(view_packet(domain, made))


def tell_left(domain: Domain, made: SandboxRecord) -> None:
    """Tell that a container is gone; its sockets are let go, and with them its namespace."""
    for endpoint in made.endpoints:
        tell_endpoint_gone(domain, made, endpoint)
    domain.names.tell({"op": "remove", "sandbox": made.id})


def tell_endpoint_gone(domain: Domain, made: SandboxRecord, endpoint: Endpoint) -> None:
    """Tell that a container is off one network."""
    domain.names.tell(
        {"op": "gone", "network": endpoint.network_id, "container": made.container_id}
    )
