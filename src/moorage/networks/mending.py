"""A bridge that somebody deleted while the daemon runs: it is made again, with its ports."""

from __future__ import annotations

import logging
from contextlib import suppress

from moorage.lib import offload
from moorage.lib.errors import MoorageError
from moorage.netlink import link
from moorage.netlink.nlsocket import NetlinkError, NetlinkSocket
from moorage.networks.domain import Domain

log = logging.getLogger(__name__)


def is_wanted(domain: Domain, device: str) -> bool:
    """Whether *device*, which is gone, was a bridge of ours; most interfaces that go are not."""
    return any(_is_bridge(domain, n, device) for n in domain.registry.networks)


def _is_bridge(domain: Domain, network_id: str, device: str) -> bool:
    network = domain.registry.networks[network_id]
    return network.device == device and network.driver == "bridge" and network.own_device


async def mend(domain: Domain, device: str) -> None:
    """Make the bridge *device* again, unless its network has been removed."""
    async with domain.creating:  # the network may be half made, or about to go
        for network_id in list(domain.registry.networks):
            if not _is_bridge(domain, network_id, device):
                continue
            network = domain.registry.networks[network_id]
            try:
                await domain.driver(network).create(network)
                ports = _ports(domain, network_id)
                await offload.run("net", _plug, device, ports)
            except (MoorageError, OSError) as error:
                log.warning("bridge %s was deleted and cannot be mended: %s", device, error)
            else:
                log.warning("bridge %s was deleted from outside and has been restored", device)


def _ports(domain: Domain, network_id: str) -> dict[str, bool]:
    """Return the ports of a bridge, and whether each needs hairpin mode."""
    sandboxes = domain.registry.sandboxes
    return {
        endpoint.port: bool(sandboxes[container].published)
        for container, endpoint in domain.registry.members[network_id].items()
        if endpoint.port
    }


def _plug(device: str, ports: dict[str, bool]) -> None:
    """Plug interfaces that are still there into a bridge. Blocking."""
    with NetlinkSocket() as host:
        bridge = link.read(host, device).index
        for port, hairpin in ports.items():
            with suppress(NetlinkError):  # its container has just left
                index = link.read(host, port).index
                host.run(link.set_master(index, bridge))
                host.run(link.port_hairpin(index, on=hairpin), link.set_up(port))
