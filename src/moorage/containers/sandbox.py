"""What the networks are told of a container (pure)."""

from __future__ import annotations

from collections.abc import Iterable

from moorage.containers import capabilities
from moorage.containers.record import ContainerRecord
from moorage.networks.values import Link, SandboxRequest
from moorage.spec.engine.hostconfig import HostConfig

_NET_ADMIN = "CAP_NET_ADMIN"
_NETWORK_SYSCTLS = {  # inside its own namespace a container may ping and use low ports as any user
    "net.ipv4.ip_unprivileged_port_start": "0",
    "net.ipv4.ping_group_range": "0 2147483647",
}


def request_for(record: ContainerRecord, links: Iterable[Link]) -> SandboxRequest:
    """Return the request for a container's sandbox."""
    config, host = record.config, record.host_config
    return SandboxRequest(
        container_id=record.id,
        name=record.name,
        network_mode="none" if config.network_disabled else host.network_mode,
        hostname=config.hostname,
        domainname=config.domainname,
        endpoints={} if config.network_disabled else record.endpoints,
        unplugged=record.unplugged,
        port_bindings=host.port_bindings or {},
        exposed_ports=list(config.exposed_ports or {}),
        publish_all=host.publish_all_ports,
        dns=host.dns or [],
        dns_search=host.dns_search or [],
        dns_options=host.dns_options or [],
        extra_hosts=host.extra_hosts or [],
        links=list(links),
        sysctls=_sysctls(host),
        mac_address=record.config.mac_address,
        confined=not _may_administer(host),
    )


def _may_administer(host: HostConfig) -> bool:
    """Whether the container was given the capability to change its own addresses."""
    given = capabilities.effective(
        host.cap_add or [], host.cap_drop or [], privileged=host.privileged, available=[_NET_ADMIN]
    )
    return _NET_ADMIN in given


def _sysctls(host: HostConfig) -> dict[str, str]:
    own = {k: v for k, v in (host.sysctls or {}).items() if k.startswith("net.")}
    return own if host.network_mode == "host" else {**_NETWORK_SYSCTLS, **own}
