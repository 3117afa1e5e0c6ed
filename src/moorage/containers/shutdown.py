"""The end of the daemon: containers go on, or are stopped all at once."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, Final

from moorage.containers import restart, stop
from moorage.lib.errors import MoorageError

if TYPE_CHECKING:
    from moorage.containers.container import Container
    from moorage.containers.parts import Parts

log = logging.getLogger(__name__)
_GRACE_S: Final = 5.0  # for what comes beside the stopping


def limit_s(parts: Parts) -> float | None:
    """Return how long the end of the daemon may take; None: for ever, as a container may.

    Longer takes what hangs: a file system behind a start. What it leaves half done the next
    daemon finishes, as after a crash.
    """
    limits = [float(parts.settings.shutdown_timeout_s)]
    if not parts.settings.live_restore:
        given = (c.record.config.stop_timeout for c in parts.store.all() if c.active)
        limits += [float(timeout_s) for timeout_s in given if timeout_s is not None]
    return None if min(limits) < 0 else max(limits) + _GRACE_S


async def close(parts: Parts) -> None:
    """Let containers live on, unless live restore is off: then stop all in parallel.

    A restart that waits is forgotten here; the policy starts it with the next daemon.
    """
    for container in parts.store.all():
        async with container.lock:
            restart.cancel(container)
    if parts.settings.live_restore:
        return
    running = [c for c in parts.store.all() if c.active]
    async with asyncio.TaskGroup() as group:
        for container in running:
            group.create_task(_stop(parts, container))


async def _stop(parts: Parts, container: Container) -> None:
    """Stop one; it was not the user who did it, so its policy starts it with the next daemon."""
    timeout_s = container.record.config.stop_timeout
    limit_s = parts.settings.shutdown_timeout_s if timeout_s is None else timeout_s
    by_user = container.record.stopped_by_user
    try:
        await stop.stop(parts, container, signal=None, timeout_s=limit_s)
    except (MoorageError, OSError) as error:  # must not keep the others from being stopped
        log.warning("container %s: %s", container.name, error)
    if parts.store.find(container.id) is container:
        async with container.lock:
            parts.store.change(container, stopped_by_user=by_user)
