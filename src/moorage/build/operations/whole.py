"""Work in threads and elsewhere that a cancelled build waits for, so that it can be undone."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any, ParamSpec, TypeVar

from moorage.lib import offload
from moorage.lib.tasks import Supervisor

P = ParamSpec("P")
T = TypeVar("T")


async def finish(
    work: Coroutine[Any, Any, T], undo: Callable[[T], Coroutine[Any, Any, object]]
) -> T:
    """Await *work*. Cancel: *work* still ends, then *undo* takes its result away."""
    owner = Supervisor("build")
    task = owner.start(work, "whole")
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        await owner.wait_idle()
        if not task.cancelled() and task.exception() is None:
            await undo(task.result())
        raise


async def blocking(work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """Run *work* in a thread. Cancel: the thread's end is waited for."""
    return await finish(offload.run("fs", work, *args, **kwargs), _nothing)


async def _nothing(_: object) -> None:
    """The caller's own clean-up covers it."""
