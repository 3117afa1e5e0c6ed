"""``start``: from what lies on disk to a running process, in one undo stack."""

from __future__ import annotations

import logging
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING

from moorage.containers import changing, process_io, release, remove
from moorage.containers.container import Container, Ended
from moorage.containers.parts import Parts
from moorage.containers.record import Intent
from moorage.containers.specification import prepare_start
from moorage.containers.state import Event, State, advance
from moorage.lib import clock
from moorage.lib.errors import MoorageError, System
from moorage.lib.failpoint import failpoint
from moorage.runtime.contract import StartFailed

if TYPE_CHECKING:
    from moorage.runtime.task import Task

log = logging.getLogger(__name__)

_START_FAILED = 128  # exit code where the runtime gave none


async def launch(parts: Parts, container: Container) -> Task:
    """Start, or leave everything as it was with the reason noted.

    *Preconditions*: the caller holds the lock.
    Events: those of the networks and volumes, then ``start``.
    Raises: StartFailed, InvalidParameter, NotFound, Conflict, System.
    """
    await release.release_remains(parts, container)
    undo = AsyncExitStack()
    try:
        parts.store.change(container, intent=Intent.START)
        await changing.take_over(parts, container)
        task = await _launch(parts, container, undo)
    except BaseException as error:
        held = await _undo(container, undo)
        await _failed(parts, container, error, held=held)
        raise
    container.task = task
    parts.announce(container, "start")
    return task


async def _launch(parts: Parts, container: Container, undo: AsyncExitStack) -> Task:
    failpoint("containers.start.after_intent")
    spec = await prepare_start(parts, container, undo)
    failpoint("containers.start.before_create")
    task = await parts.runtime.create(
        container.id,
        runtime=container.record.host_config.runtime,
        spec=spec,
        io=process_io.of_container(container.record),
    )
    undo.push_async_callback(task.delete)
    failpoint("containers.start.after_create")
    await process_io.connect_waiting(container, task)
    await task.start()
    failpoint("containers.start.after_start")
    parts.store.change(
        container,
        state=advance(container.state, Event.START),
        intent=Intent.NONE,
        pid=task.pid,
        started_ns=clock.now_ns(),
        exit_code=0,
        error="",
        oom_killed=False,
    )
    return task


async def _undo(container: Container, undo: AsyncExitStack) -> bool:
    """Take back every step that was made; return whether one of them could not be."""
    try:
        await undo.aclose()
    except (MoorageError, OSError) as error:
        log.warning("container %s: not all of its start is undone: %s", container.id, error)
        return True
    return False


async def _failed(parts: Parts, container: Container, error: BaseException, *, held: bool) -> None:
    """Note why the start failed; one with ``--rm`` goes away.

    *held*: something of the host is still to be given back, which the record goes on saying.
    """
    code = error.exit_code if isinstance(error, StartFailed) else _START_FAILED
    message = str(error) if isinstance(error, MoorageError) else f"{type(error).__name__}: {error}"
    waited_for = container.state is State.RESTARTING  # else nobody waits for an end yet
    state = advance(container.state, Event.EXIT) if waited_for else container.state
    parts.store.observe(
        container,
        state=state,
        intent=Intent.RELEASE if held else Intent.NONE,
        exit_code=code,
        error=message,
        finished_ns=clock.now_ns() if container.record.started_ns else 0,
    )
    process_io.end_waiting(container)
    if waited_for:
        container.waiters.exited(Ended(code))
    if container.record.host_config.auto_remove:
        try:
            await remove.discard(parts, container, volumes=True)
        except System as left:  # why the start failed is what its caller is told
            log.warning("%s", left)
