"""Networks as the API shows them."""

from __future__ import annotations

from msgspec import UNSET, UnsetType

from moorage.lib import clock
from moorage.lib.errors import InvalidParameter
from moorage.networks.domain import Domain
from moorage.networks.records import NetworkRecord
from moorage.networks.registry import BUILTIN
from moorage.spec.engine.filters import Filters
from moorage.spec.engine.network import (
    IPAM,
    ConfigReference,
    EndpointResource,
    IPAMConfig,
    IPAMStatus,
    NetworkInspect,
    NetworkStatus,
    NetworkSummary,
    SubnetStatus,
)

_FILTERS = ("dangling", "driver", "id", "label", "name", "scope", "type")
_SATURATED = (1 << 64) - 1


def list_all(domain: Domain, filters: Filters) -> list[NetworkSummary]:
    """Return the networks that pass *filters*.

    Raises: InvalidParameter.
    """
    filters.require_known(_FILTERS)
    for kind in filters.get("type"):
        if kind not in {"custom", "builtin"}:
            raise InvalidParameter(f"invalid filter: 'type'='{kind}'")
    found = list(domain.registry.networks.values())
    if filters:
        dangling = filters.flag("dangling")
        found = [
            network
            for network in found
            if filters.exact("driver", _driver(network))
            and filters.match("name", network.name)
            and filters.match("id", network.id)
            and filters.exact("scope", network.scope)
            and filters.exact("type", "builtin" if network.name in BUILTIN else "custom")
            and filters.labels(network.labels)
            and ("dangling" not in filters or dangling == _is_dangling(domain, network))
        ]
    if len(domain.summaries) > len(domain.registry.networks):  # some are gone
        domain.summaries.clear()
    return [_summary(domain, network) for network in found]


def _driver(network: NetworkRecord) -> str:
    """Return the driver that is shown: none makes a mere configuration."""
    return "null" if network.config_only else network.driver


def _is_dangling(domain: Domain, network: NetworkRecord) -> bool:
    return network.name not in BUILTIN and not domain.registry.members[network.id]


def _summary(domain: Domain, network: NetworkRecord) -> NetworkSummary:
    """Return what is shown of a network; worked out once for each of its records."""
    record, summary = domain.summaries.get(network.id, (None, None))
    if summary is None or record is not network:
        summary = _summarise(network)
        domain.summaries[network.id] = (network, summary)
    return summary


def _summarise(network: NetworkRecord) -> NetworkSummary:
    return NetworkSummary(
        name=network.name,
        id=network.id,
        created=clock.rfc3339(network.created_ns),
        scope=network.scope,
        driver=_driver(network),
        enable_ipv4=network.ipv4,
        enable_ipv6=network.ipv6,
        ipam=_ipam(network),
        internal=network.internal,
        attachable=network.attachable,
        ingress=False,
        config_from=ConfigReference(network=network.config_from),
        config_only=network.config_only,
        options=network.options,
        labels=network.labels,
    )


def _ipam(network: NetworkRecord) -> IPAM:
    return IPAM(
        driver=network.ipam_driver,
        options=network.ipam_options or None,
        config=[
            IPAMConfig(
                subnet=subnet.cidr,
                ip_range=subnet.ip_range,
                gateway=subnet.gateway,
                auxiliary_addresses=subnet.auxiliary or None,
            )
            for subnet in network.subnets
        ],
    )


def inspect(domain: Domain, ref: str, *, scope: str, verbose: bool) -> NetworkInspect:
    """Return one network with its endpoints.

    Raises: NotFound.
    """
    del verbose  # more is shown for swarm's services only
    network = domain.registry.find(ref)
    if scope and scope != network.scope:
        network = domain.registry.find(f"{ref} in scope {scope}")
    summary = _summary(domain, network)
    return NetworkInspect(
        **{name: getattr(summary, name) for name in summary.__struct_fields__},
        containers={
            container_id: EndpointResource(
                name=domain.registry.sandboxes[container_id].request.name,
                endpoint_id=endpoint.id,
                mac_address=endpoint.mac,
                ipv4_address=endpoint.ipv4,
                ipv6_address=endpoint.ipv6,
            )
            for container_id, endpoint in domain.registry.members[network.id].items()
        },
        status=_status(domain, network),
    )


def _status(domain: Domain, network: NetworkRecord) -> NetworkStatus | UnsetType:
    pools = domain.registry.pools[network.id]
    if not pools:
        return UNSET
    return NetworkStatus(
        ipam=IPAMStatus(
            subnets={
                str(pool.network): SubnetStatus(
                    i_ps_in_use=min(pool.in_use, _SATURATED),
                    dynamic_i_ps_available=min(pool.available, _SATURATED),
                )
                for pool in pools
            }
        )
    )
