"""``network connect`` and ``disconnect``: of a container that runs, and for its next start.

The record holds every network a container is to join; while it holds none, the network mode says.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from moorage.containers import links
from moorage.containers.inspect import configured_networks
from moorage.containers.sandbox import request_for
from moorage.containers.state import ALIVE, State
from moorage.lib.errors import Conflict, InvalidParameter, MoorageError, System
from moorage.spec.engine.network import EndpointSettings

if TYPE_CHECKING:
    from moorage.containers.container import Container
    from moorage.containers.parts import Parts


async def connect(
    parts: Parts, container: Container, network: str, settings: EndpointSettings | None
) -> None:
    """Connect a container to a network. Events: ``network connect`` if it runs.

    Raises: NotFound (network), Forbidden (twice), Conflict, InvalidParameter, System.
    """
    async with container.lock:
        _require_changeable(container)
        record = container.record
        asked = settings or EndpointSettings()
        linked = links.resolve(parts.store, record.host_config)
        known = configured_networks(record)
        name, _ = await parts.networks.connect(
            network,
            request_for(record, links.for_networks(linked)),
            asked,
            running=container.state in ALIVE,
        )
        parts.store.change(container, endpoints={**known, name: asked})


async def disconnect(parts: Parts, container: Container, network: str, *, force: bool) -> None:
    """Take a container off a network. Events: ``network disconnect`` if it runs.

    *force*: also where only the record still says that it is on it.
    Raises: NotFound (network), System (it is not on it), InvalidParameter.
    """
    async with container.lock:
        _require_changeable(container)
        known = configured_networks(container.record)
        name, unplugged = await parts.networks.disconnect(network, container.id)
        rest = {ref: s for ref, s in known.items() if _name_of(parts, ref) != name}
        recorded = len(rest) < len(known) and (force or container.state not in ALIVE)
        if not unplugged and not recorded:
            raise System(f"container {container.id} is not connected to network {name}")
        parts.store.change(container, endpoints=rest)


def _require_changeable(container: Container) -> None:
    if container.state is State.REMOVING:
        raise Conflict(
            f"Container {container.id} is marked for removal and cannot be connected or"
            " disconnected to the network"
        )
    if container.record.host_config.network_mode.startswith("container:"):
        raise InvalidParameter(
            "container sharing network namespace with another container or host cannot be"
            " connected to any other network"
        )


def _name_of(parts: Parts, ref: str) -> str:
    try:
        return parts.networks.name_of(ref)
    except MoorageError:
        return ref
