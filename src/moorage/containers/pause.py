"""``pause`` and ``unpause``: the freezer of the container's cgroup."""

from __future__ import annotations

from moorage.containers.container import Container
from moorage.containers.parts import Parts
from moorage.containers.state import Event, State, advance
from moorage.lib.errors import Conflict


async def pause(parts: Parts, container: Container, *, thaws: bool = False) -> None:
    """Freeze. Events: ``pause``. Raises: Conflict (not running, paused, restarting).

    *thaws*: only for a while; should the daemon die meanwhile, the next one thaws it.
    """
    async with container.lock:
        if container.state is State.PAUSED:
            raise Conflict(f"container {container.id} is already paused")
        require_not_restarting(container)
        if thaws != container.record.thaws:
            parts.store.change(container, thaws=thaws)
        await container.running_task().pause()
        parts.store.change(container, state=advance(container.state, Event.PAUSE))
        parts.announce(container, "pause")


async def unpause(parts: Parts, container: Container) -> None:
    """Thaw. Events: ``unpause``. Raises: Conflict (not paused)."""
    async with container.lock:
        if container.state is not State.PAUSED:
            raise Conflict(f"container {container.id} is not paused")
        await container.running_task().resume()
        parts.store.change(container, state=advance(container.state, Event.UNPAUSE))
        parts.announce(container, "unpause")


async def settle(parts: Parts, container: Container) -> None:
    """Note what is so, should a daemon have died between the freezer and the record of it.

    *Preconditions*: the caller holds the lock; it runs.
    """
    task = container.running_task()
    frozen = task.is_paused()
    if frozen is None:
        return
    if not frozen or container.record.thaws:
        await task.resume()  # one may be half frozen
        frozen = False
    if frozen != (container.state is State.PAUSED):
        event = Event.PAUSE if frozen else Event.UNPAUSE
        parts.store.change(container, state=advance(container.state, event))


def require_not_restarting(container: Container) -> None:
    """Refuse while the restart policy waits. Raises: Conflict, with Docker's sentence."""
    if container.state is State.RESTARTING:
        raise Conflict(
            f"container {container.id} is restarting, wait until the container is running"
        )
