"""The circle of a container's life: start, watch, end, and start again if its policy says so."""

from __future__ import annotations

import asyncio
import logging
import signal
from typing import TYPE_CHECKING

from moorage.containers import ending, health, restart
from moorage.containers.container import Container
from moorage.containers.parts import Parts
from moorage.containers.start import launch
from moorage.containers.state import Event, State, advance
from moorage.lib.errors import Conflict, MoorageError

if TYPE_CHECKING:
    from moorage.runtime.task import Task

log = logging.getLogger(__name__)


async def start(parts: Parts, container: Container) -> bool:
    """Start for a user: earlier restarts are forgotten.

    Returns: whether it was not running.
    Raises: Conflict (paused, being removed), and what ``launch`` raises.
    """
    async with container.lock:
        if container.state is State.PAUSED:
            raise Conflict("cannot start a paused container, try unpause instead")
        if container.state in {State.REMOVING, State.DEAD}:
            raise Conflict("container is marked for removal and cannot be started")
        if container.active:
            return False
        container.back_off = restart.BackOff()
        container.stop_asked = False
        parts.store.change(container, restart_count=0, stopped_by_user=False)
        adopt(parts, container, await launch(parts, container))
    return True


def adopt(parts: Parts, container: Container, task: Task) -> None:
    """Watch over a container that runs, begun by us or by an earlier daemon.

    *Preconditions*: the caller holds the lock.
    """
    container.task = task
    if container.back_off is not None:
        container.back_off.began()
    _ = parts.supervisor.start(_watch(parts, container, task), f"watch {container.id[:12]}")
    health.begin(parts, container)


async def _watch(parts: Parts, container: Container, task: Task) -> None:
    status = await task.wait()
    async with container.lock:
        if container.task is task and await ending.ended(parts, container, task, status):
            start_later(parts, container)


def start_later(parts: Parts, container: Container) -> None:
    """Start again after the pause that the policy's back-off gives.

    *Preconditions*: the caller holds the lock; the state is RESTARTING.
    """
    if container.back_off is None:
        container.back_off = restart.BackOff()
    pause_s = container.back_off.next_pause(container.back_off.ended())
    container.back_off.timer = parts.supervisor.start(
        _start_after(parts, container, pause_s), f"restart {container.id[:12]}"
    )


async def _start_after(parts: Parts, container: Container, pause_s: float) -> None:
    await asyncio.sleep(pause_s)
    async with container.lock:
        if container.state is not State.RESTARTING or container.stop_asked:
            return
        if container.back_off:
            container.back_off.timer = None
        try:
            task = await launch(parts, container)
        except (MoorageError, OSError) as error:
            log.warning("container %s: restart failed: %s", container.id, error)
            _try_again(parts, container)
            return
        adopt(parts, container, task)


def _try_again(parts: Parts, container: Container) -> None:
    """Apply the policy to a start that failed as to a process that ended (moby#31971)."""
    record = container.record
    if container.state in {State.REMOVING, State.DEAD} or not restart.applies(
        record.host_config.restart_policy,
        exit_code=record.exit_code,
        restarts=record.restart_count,
    ):
        return
    parts.store.observe(  # a full disk does not end it: there may be room for the next attempt
        container,
        state=advance(record.state, Event.BACK_OFF),
        restart_count=record.restart_count + 1,
    )
    start_later(parts, container)


async def kill_unhealthy(container: Container) -> None:
    """End the process; its restart policy decides what follows."""
    async with container.lock:
        if container.task is not None:
            await container.task.signal(signal.SIGKILL)
