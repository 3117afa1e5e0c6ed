"""After a restart of the daemon: find the process of a task again, by its monitor or without it."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path
from typing import Final

import msgspec

from moor_shim import protocol
from moorage.kernel import pidfd
from moorage.lib.errors import System
from moorage.runtime import bundle
from moorage.runtime.connection import Connection, connect
from moorage.runtime.contract import ExitStatus
from moorage.runtime.task import Task, read_exit, unknown_end

_PATIENCE_S: Final = 5.0


class FoundExec(msgspec.Struct, frozen=True, kw_only=True):
    """A process that was executed in a container under an earlier daemon."""

    id: str
    note: str  # what its maker wanted to be reminded of
    task: Task  # it runs, or has ended meanwhile


async def recover(task: Task, directory: Path) -> Task | ExitStatus | None:
    """Connect *task* to its process: it runs, has ended meanwhile, or there never was one."""
    try:
        async with asyncio.timeout(_PATIENCE_S):  # a hung monitor must not hold up the start
            connection = Connection(await connect(directory), task.on_event, task.on_lost)
            task.use(connection)
            task.take(await connection.request("hello"))
        task.confirm()
    except (OSError, System):  # TimeoutError is an OSError
        task.disconnect()
        return _recover_orphan(task, directory)
    if task.exit_status is not None:
        task.disconnect()
        return task.exit_status
    return task


def _recover_orphan(task: Task, directory: Path) -> Task | ExitStatus | None:
    """Look for a process whose monitor is gone."""
    status = read_exit(directory)
    if status is not None:
        return status
    try:
        known = msgspec.json.decode((directory / protocol.TASK_FILE).read_bytes())
    except (FileNotFoundError, msgspec.DecodeError):
        return None  # the monitor ended before there was a process
    fd = pidfd.open_verified(known["pid"], known["start_time"])
    if fd is None:
        return unknown_end()
    task.pid = known["pid"]
    task.watch_orphan(fd)
    return task


async def execs(container: Task) -> list[FoundExec]:
    """Find what was executed in *container*, which runs; what never began is removed.

    Call ``Task.delete`` of each once its end has been noted.
    """
    found = []
    for exec_id in _names(container.execs_directory):
        directory = container.execs_directory / exec_id
        record = bundle.read_record(directory)
        task = container.exec_task(exec_id)
        outcome = await recover(task, directory) if record is not None else None
        if record is None or outcome is None:
            await task.remove_remains()
        else:
            if isinstance(outcome, ExitStatus):
                task.note_end(outcome)
            found.append(FoundExec(id=exec_id, note=record.note, task=task))
    return found


def _names(directory: Path) -> list[str]:
    try:
        return sorted(os.listdir(directory))
    except FileNotFoundError:
        return []
