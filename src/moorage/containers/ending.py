"""What follows when a container's process has ended: note it, release, remove."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, Final

from moorage.containers import release, remove, restart
from moorage.containers.container import Container, Ended
from moorage.containers.parts import Parts
from moorage.containers.record import Intent
from moorage.containers.state import Event, advance
from moorage.lib.failpoint import failpoint
from moorage.runtime.contract import ExitStatus

if TYPE_CHECKING:
    from moorage.runtime.task import Task

log = logging.getLogger(__name__)

_RECORD_AGAIN_S: Final = 1.0


async def ended(parts: Parts, container: Container, task: Task | None, status: ExitStatus) -> bool:
    """Note the end of a process, release what it held, remove it if that was wanted.

    Returns: whether it shall start again.
    Events: ``die`` with ``exitCode`` and ``execDuration``; ``destroy`` with ``--rm``.
    *Preconditions*: the caller holds the lock.
    """
    again = _starts_again(container, status)
    _note(parts, container, status, again=again)
    failpoint("containers.ending.after_note")
    await release.release(parts, container, task)
    if not again and container.record.host_config.auto_remove and not container.stays:
        await remove.discard(parts, container, volumes=True)
    return again


def _starts_again(container: Container, status: ExitStatus) -> bool:
    record = container.record
    return not container.stop_asked and restart.applies(
        record.host_config.restart_policy,
        exit_code=status.code,
        restarts=record.restart_count,
        stopped_by_user=record.stopped_by_user,
    )


def _note(parts: Parts, container: Container, status: ExitStatus, *, again: bool) -> None:
    record = container.record
    if container.health is not None:
        container.health.stop()
    noted = parts.store.observe(
        container,
        state=advance(record.state, Event.BACK_OFF if again else Event.EXIT),
        intent=Intent.RELEASE,
        pid=0,
        exit_code=status.code,
        oom_killed=status.oom_killed,
        finished_ns=status.finished_ns,
        restart_count=record.restart_count + (1 if again else 0),
    )
    if not noted:
        _ = parts.supervisor.start(_record_later(parts, container), f"record {container.id[:12]}")
    container.task = None
    container.waiters.exited(Ended(status.code, record.error))
    seconds = max(0, status.finished_ns - record.started_ns) // 1_000_000_000
    parts.announce(container, "die", exitCode=str(status.code), execDuration=str(seconds))


async def _record_later(parts: Parts, container: Container) -> None:
    """Write the record again and again until the disk takes it."""
    while parts.store.find(container.id) is container:
        await asyncio.sleep(_RECORD_AGAIN_S)
        async with container.lock:
            if parts.store.observe(container):
                return
