"""The name files of a sandbox, from its networks and its options."""

from __future__ import annotations

from pathlib import Path

from moorage.networks import endpoints, files
from moorage.networks.domain import Domain, host_resolver
from moorage.networks.records import SandboxRecord
from moorage.networks.values import NameFiles, SandboxRequest

EMBEDDED = "127.0.0.11"
_HOSTS = Path("/etc/hosts")


def compose(domain: Domain, sandbox: SandboxRecord) -> NameFiles:
    """Return the files of a sandbox with its own namespace.

    Raises: InvalidParameter, for options that are no names or addresses.
    """
    request = sandbox.request
    entries = files.extra_hosts(request.extra_hosts, gateways(domain, sandbox))
    own = files.own_names(request.hostname, request.domainname)
    for endpoint in sandbox.endpoints:
        entries += [
            (text.partition("/")[0], own) for text in (endpoint.ipv4, endpoint.ipv6) if text
        ]
    entries += _links(domain, sandbox)
    resolver = _resolver(domain, request)
    if serves_names(domain, sandbox):
        # A name without dots is asked as it is first, as Docker has it.
        if not any(o.startswith("ndots:") for o in resolver.options):
            resolver.options.append("ndots:0")
        resolv = resolver.render([EMBEDDED])
    else:
        resolv = resolver.render(resolver.reachable_inside())
    return NameFiles(hosts=files.hosts(entries), resolv_conf=resolv)


def of_host(domain: Domain, request: SandboxRequest) -> NameFiles:
    """Return the files of a container in the host's own namespace."""
    try:
        hosts = _HOSTS.read_bytes()
    except OSError:
        hosts = files.hosts([])
    extra = files.extra_hosts(request.extra_hosts, domain.config.host_gateway_ips or ["127.0.0.1"])
    lines = "".join(f"{address}\t{name}\n" for address, name in extra)
    resolver = _resolver(domain, request)
    resolv = resolver.render(resolver.servers or resolver.reachable_inside())
    return NameFiles(hosts=hosts + lines.encode(), resolv_conf=resolv)


def serves_names(domain: Domain, sandbox: SandboxRecord) -> bool:
    """Whether the embedded name server answers in this sandbox."""
    for endpoint in sandbox.endpoints:
        network = domain.registry.networks[endpoint.network_id]
        if network.name in {"none", "host"}:
            continue
        if network.name != "bridge" or domain.config.names_on_default_bridge:
            return True
    return False


def gateways(domain: Domain, sandbox: SandboxRecord) -> list[str]:
    """Return the addresses under which a container reaches this host."""
    if domain.config.host_gateway_ips:
        return domain.config.host_gateway_ips
    found: list[str] = []
    for endpoint in endpoints.exit_endpoints(domain.registry, sandbox.endpoints):
        if endpoint is None:
            continue
        network = domain.registry.networks[endpoint.network_id]
        if domain.driver(network).translated:
            chosen = endpoints.gateway(domain.registry, [endpoint])
            found += [a for a in (chosen.ipv4, chosen.ipv6) if a and a not in found]
    return found


def _resolver(domain: Domain, request: SandboxRequest) -> files.Resolver:
    config = domain.config
    return (
        host_resolver()
        .overridden(config.dns, config.dns_search, config.dns_opts)
        .overridden(request.dns, request.dns_search, request.dns_options)
    )


def _links(domain: Domain, sandbox: SandboxRecord) -> list[tuple[str, str]]:
    """Return the linked containers' addresses: links stand in /etc/hosts of the default bridge."""
    bridge = next((n for n in domain.registry.networks.values() if n.name == "bridge"), None)
    if bridge is None:
        return []
    members = domain.registry.members[bridge.id]
    found: list[tuple[str, str]] = []
    for link in sandbox.request.links:
        endpoint = members.get(link.container_id)
        if endpoint is None or sandbox.container_id not in members:
            continue
        names = " ".join(dict.fromkeys(filter(None, (link.alias, link.hostname, link.name))))
        found += [
            (text.partition("/")[0], names) for text in (endpoint.ipv4, endpoint.ipv6) if text
        ]
    return found
