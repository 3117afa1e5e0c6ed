"""The end of the daemon: containers go on, or are stopped all at once."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING

from moorage.containers import restart, stop
from moorage.lib.errors import MoorageError

if TYPE_CHECKING:
    from moorage.containers.container import Container
    from moorage.containers.parts import Parts

log = logging.getLogger(__name__)


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
    except MoorageError as error:
        log.warning("container %s: %s", container.name, error)
    if parts.store.find(container.id) is container:
        async with container.lock:
            parts.store.change(container, stopped_by_user=by_user)
