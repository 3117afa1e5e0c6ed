"""The only maker of asyncio tasks: every task has an owner that knows it and waits for it."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Coroutine, Iterator
from typing import Final, TypeVar

from moorage.lib.errors import MoorageError

T = TypeVar("T")
log = logging.getLogger(__name__)
_OF_THE_WORLD: Final = (MoorageError, OSError, EOFError, ExceptionGroup)


class Supervisor:
    """Owner of background tasks with one lifetime.

    A task that fails is logged with its name and does not take its siblings down: they serve
    different containers. What is no failure of the world but a fault of ours is logged as an error,
    whether somebody waits for the task or not. ``close`` cancels what is left and waits for it.
    """

    def __init__(self, name: str) -> None:
        self.name = name
        self._tasks: set[asyncio.Task[object]] = set()

    def start(self, work: Coroutine[object, object, T], name: str) -> asyncio.Task[T]:
        """Run *work* as a task of this owner."""
        task = asyncio.get_running_loop().create_task(work, name=f"{self.name}/{name}")
        self._tasks.add(task)
        task.add_done_callback(self._ended)
        return task

    def _ended(self, task: asyncio.Task[object]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            level = logging.DEBUG if isinstance(error, _OF_THE_WORLD) else logging.ERROR
            log.log(level, "task %s failed: %s", task.get_name(), error, exc_info=error)

    async def wait_idle(self) -> None:
        """Wait until no task is left, without cancelling any."""
        while self._tasks:
            await asyncio.wait(self._tasks)

    async def close(self) -> None:
        """Cancel the remaining tasks and wait until they have ended."""
        for task in self._tasks:
            task.cancel()
        await self.wait_idle()


async def finish(work: Coroutine[object, object, T], owner: Supervisor, name: str) -> T:
    """Await *work* in a task of *owner* that goes on if the caller is cancelled.

    For changes of state: a client that hangs up must not leave half a stop.
    """
    return await asyncio.shield(owner.start(work, name))


def foremost(group: ExceptionGroup, kind: type[Exception] = MoorageError) -> Exception:
    """Return the error to tell of tasks that fell together: the first of *kind*, else the first."""
    flat = list(_flat(group))
    return next((error for error in flat if isinstance(error, kind)), flat[0])


def _flat(error: Exception) -> Iterator[Exception]:
    if isinstance(error, ExceptionGroup):
        for inner in error.exceptions:
            yield from _flat(inner)
    else:
        yield error
