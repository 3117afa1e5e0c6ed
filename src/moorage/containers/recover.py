"""After a start of the daemon: adopt what runs; undo or finish what was cut off."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING

import msgspec

from moorage.containers import (
    changing,
    ending,
    lifecycle,
    networking,
    pause,
    release,
    remove,
    restart,
    start_order,
    update,
)
from moorage.containers.record import Intent
from moorage.containers.state import ALIVE, State
from moorage.lib import clock, offload, tasks
from moorage.lib.errors import MoorageError
from moorage.runtime.contract import UNKNOWN_CODE, ExitStatus

if TYPE_CHECKING:
    from moorage.containers.container import Container
    from moorage.containers.parts import Parts
    from moorage.runtime.task import Task

log = logging.getLogger(__name__)


async def recover(parts: Parts) -> None:
    """Bring records and host together again.

    Order: what runs is adopted first, so that networks and volumes know what is still in use;
    then the unfinished is undone; then ended containers are noted and restart policies applied.
    """
    for name in ("containers", "views"):
        (parts.settings.exec_root / name).mkdir(mode=0o700, exist_ok=True)
    alive = [c for c in parts.store.every() if c.state in ALIVE]
    try:
        async with asyncio.TaskGroup() as group:  # what takes time is each monitor's awakening
            adoptions = [(c, group.create_task(_adopt(parts, c))) for c in alive]
    except ExceptionGroup as failed:
        raise tasks.foremost(failed) from failed
    ended = [(c, status) for c, task in adoptions if (status := task.result()) is not None]
    running = [c.id for c in parts.store.every() if c.task is not None]
    await parts.networks.restore(running)
    for container in parts.store.every():
        if container.task is not None:
            networking.reconcile(parts, container)
            await _republish(parts, container)
    await parts.volumes.reconcile([c.id for c in parts.store.every()], running)
    for container in parts.store.unfinished():
        await _finish(parts, container)
    changing.release_stale(parts)
    for container, status in ended:
        await _note_end(parts, container, status)
    for container in parts.store.every():
        if container.state is State.RESTARTING and container.back_off is None:
            async with container.lock:
                lifecycle.start_later(parts, container)


async def _republish(parts: Parts, container: Container) -> None:
    """Finish an update of the ports of a running container that was cut off."""
    try:
        await update.republish(parts, container)
    except MoorageError as error:
        log.warning("container %s: its ports are as they were: %s", container.id, error)


async def _adopt(parts: Parts, container: Container) -> ExitStatus | None:
    """Take over a running container; return how it ended if it does not run any more."""
    try:
        found = await parts.runtime.recover(container.id)
    except MoorageError as error:
        log.warning("container %s cannot be recovered: %s", container.id, error)
        found = None
    if found is None:  # a reboot, or its monitor was killed
        return ExitStatus(code=UNKNOWN_CODE, finished_ns=clock.now_ns(), known=False)
    if isinstance(found, ExitStatus):
        return found
    await _take_over(parts, container, found)
    return None


async def _take_over(parts: Parts, container: Container, task: Task) -> None:
    async with container.lock:
        container.rootfs = await offload.run("fs", parts.layers.mount_rw, container.id)
        lifecycle.adopt(parts, container, task)
        try:
            await pause.settle(parts, container)
            await parts.execs.recover(container)
        except (MoorageError, OSError, msgspec.DecodeError) as error:
            log.warning("container %s: it is not wholly recovered: %s", container.id, error)


async def _finish(parts: Parts, container: Container) -> None:
    """Undo a creation or start that was cut off; finish a removal or a release."""
    intent = container.record.intent
    log.info("container %s: finishing an interrupted %s", container.id, intent)
    async with container.lock:
        try:
            if intent in {Intent.START, Intent.RELEASE} and container.state not in ALIVE:
                await release.release(parts, container, None)
                if container.state is State.EXITED and container.record.host_config.auto_remove:
                    await remove.discard(parts, container, volumes=True)
            elif intent in {Intent.CREATE, Intent.REMOVE}:
                await remove.discard(parts, container, volumes=True)
        except MoorageError as error:
            log.warning("container %s: %s", container.id, error)


async def _note_end(parts: Parts, container: Container, status: ExitStatus) -> None:
    async with container.lock:
        if await ending.ended(parts, container, None, status):
            lifecycle.start_later(parts, container)


async def start_by_policy(parts: Parts) -> None:
    """Start what its policy wants to run after a boot; those that others depend on first."""
    wanted = [
        c
        for c in parts.store.all()
        if not c.active
        and restart.applies_at_boot(
            c.record.host_config.restart_policy, stopped_by_user=c.record.stopped_by_user
        )
        and c.record.started_ns
    ]
    for container in start_order.by_dependency(wanted):
        try:
            await lifecycle.start(parts, container)
        except (MoorageError, OSError) as error:
            log.warning("container %s does not start: %s", container.name, error)
