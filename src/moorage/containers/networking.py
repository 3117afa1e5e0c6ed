"""``network connect`` and ``disconnect``: of a container that runs, and for its next start.

The record holds every network a container is to join; while it holds none, the network mode says,
unless the container was taken off the last one.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Final

from moorage.containers import links
from moorage.containers.inspect import configured_networks
from moorage.containers.sandbox import request_for
from moorage.containers.state import ALIVE, State
from moorage.lib.errors import Conflict, InvalidParameter, MoorageError, System
from moorage.lib.failpoint import failpoint
from moorage.spec.engine.network import EndpointSettings

if TYPE_CHECKING:
    from moorage.containers.container import Container
    from moorage.containers.parts import Parts

log = logging.getLogger(__name__)

ALONE: Final = frozenset({"host", "none"})  # networks beside which there is no other


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
        failpoint("containers.connect.before_note")
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
        failpoint("containers.disconnect.before_note")
        parts.store.change(container, endpoints=rest, unplugged=not rest)


def reconcile(parts: Parts, container: Container) -> None:
    """Note for the next start which networks a running container is on.

    They differ from what is recorded where the daemon was killed after a change of its networks,
    which are right, and before the record of it. *Preconditions*: the networks are restored.
    """
    on = parts.networks.asked(container.id)
    if on is None or ALONE & on.keys():
        return  # it is in another's sandbox, or on what cannot be changed while it runs
    known = configured_networks(container.record)
    names = {ref: _name_of(parts, ref) for ref in known}
    kept = {ref: s for ref, s in known.items() if names[ref] in on or not parts.networks.id_of(ref)}
    new = {name: s for name, s in on.items() if name not in names.values()}
    found = {**kept, **new}
    if found.keys() != known.keys() and found != (container.record.endpoints or {}):
        log.info("container %s: its networks are now %s", container.id, ", ".join(found))
        parts.store.change(container, endpoints=found, unplugged=not found)


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
