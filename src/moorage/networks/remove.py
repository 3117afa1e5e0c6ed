"""Removing networks, one or all that nobody uses."""

from __future__ import annotations

import logging
from contextlib import ExitStack

from msgspec import structs

from moorage.lib import timestamps
from moorage.lib.errors import Forbidden, MoorageError
from moorage.lib.failpoint import failpoint
from moorage.networks import naming
from moorage.networks.domain import Domain
from moorage.networks.drivers import parent
from moorage.networks.records import NetworkRecord
from moorage.networks.registry import BUILTIN
from moorage.spec.engine.filters import Filters
from moorage.spec.engine.network import NetworkPruneResponse

log = logging.getLogger(__name__)
_FILTERS = ("label", "label!", "until")


async def remove(domain: Domain, ref: str) -> None:
    """Remove a network without endpoints. Events: ``network destroy``.

    Raises: NotFound, Forbidden (predefined, or in use).
    """
    network = domain.registry.find(ref)
    if network.name in BUILTIN:
        raise Forbidden(f"{network.name} is a pre-defined network and cannot be removed")
    members = domain.registry.members[network.id]
    if members:
        names = ", ".join(
            f'name:"{domain.registry.sandboxes[c].request.name}" id:"{e.id[:12]}"'
            for c, e in members.items()
        )
        raise Forbidden(
            f"error while removing network: network {network.name} has active endpoints ({names})",
            hint="disconnect or stop these containers first",
        )
    if domain.registry.joining.get(network.id):
        raise Forbidden(
            f"error while removing network: network {network.name} has active endpoints"
        )
    users = [n.name for n in domain.registry.networks.values() if n.config_from == network.name]
    if network.config_only and users:
        raise Forbidden(
            f'error while removing network: configuration network "{network.name}" is in use',
            hint=", ".join(sorted(users)),
        )
    await take_down(domain, network)


async def take_down(domain: Domain, network: NetworkRecord) -> None:
    """Take a network that nobody uses off the host and forget it. Events: ``destroy``.

    The record goes last: a daemon that is killed in between finds the network again, and its owner
    can remove it again. Plugins are asked while other networks can be made.
    Raises: NotFound (somebody else was faster), and what the driver refuses.
    """
    async with domain.removing(network.id):
        network = domain.registry.find(network.id)
        driver = None if network.config_only else domain.driver(network)
        if driver is not None and driver.foreign:
            await driver.disclaim(network)
        with ExitStack() as reserved:
            async with domain.creating:
                if driver is not None and not driver.foreign:
                    await driver.disclaim(network)
                domain.registry.hide(network)
                reserved.enter_context(domain.registry.reserving(network.name))
                try:
                    failpoint("networks.remove.before_kernel")
                    await _unmake(domain, network)
                    failpoint("networks.remove.after_kernel")
                except BaseException:
                    domain.registry.enter(network)
                    raise
            if domain.ipam is not None:
                await domain.ipam.release_pools(network)
            domain.registry.drop(network)
    naming.tell_network(domain, network, gone=True)
    domain.announce("destroy", network)


async def _unmake(domain: Domain, network: NetworkRecord) -> None:
    network = _hand_down(domain, network)
    if not network.config_only:
        try:
            await domain.driver(network).remove(network)
        except MoorageError as error:
            log.warning("network %s left something behind: %s", network.name, error)


def _hand_down(domain: Domain, network: NetworkRecord) -> NetworkRecord:
    """Leave a parent interface we made to another network that uses it, if there is one."""
    if network.own_device and network.driver in parent.DRIVERS:
        for other in domain.registry.networks.values():
            if other.device == network.device and other.driver in parent.DRIVERS:
                domain.registry.enter(structs.replace(other, own_device=True))
                return structs.replace(network, own_device=False)
    return network


async def prune(domain: Domain, filters: Filters) -> NetworkPruneResponse:
    """Remove the user's networks that no running container is on, but no mere configurations.

    Events: ``destroy`` for each, then ``prune``.
    """
    filters.require_known(_FILTERS)
    until = timestamps.until(filters.get("until"))
    deleted: list[str] = []
    for network in list(domain.registry.networks.values()):
        if (
            network.name in BUILTIN
            or network.config_only
            or domain.registry.members[network.id]
            or domain.registry.joining.get(network.id)
            or (until is not None and network.created_ns > until)
            or not filters.labels(network.labels)
            or ("label!" in filters and filters.labels(network.labels, "label!"))
        ):
            continue
        try:
            await remove(domain, network.id)
        except MoorageError as error:
            log.info("network %s is not pruned: %s", network.name, error)
            continue
        deleted.append(network.name)
    domain.events.publish("network", "prune", "", {"reclaimed": "0"})
    return NetworkPruneResponse(networks_deleted=deleted or None)
