"""The only thread pools: blocking work leaves the event loop through here.

``fs``   blocking file work (unpacking, copying, fsync)
``cpu``  hashing and compression, which release the GIL
``net``  blocking sockets and name look-ups
A *disposable* thread serves whatever changes the thread itself (setns, unshare, chroot) and must
never return to a pool, and whatever looks at a path that a user named: behind it may lie a file
system that hangs (NFS, FUSE), and a pool's few threads would soon all hang there (moby#33870).
"""

from __future__ import annotations

import _thread
import asyncio
import concurrent.futures
import functools
import os
import threading
from collections.abc import Callable, Coroutine
from typing import Final, Literal, ParamSpec, TypeVar

from moorage.lib.errors import System

P = ParamSpec("P")
T = TypeVar("T")
Pool = Literal["fs", "cpu", "net"]

_LOOK_S: Final = 0.0005  # what is waited for takes a millisecond
_CORES: Final = os.cpu_count() or 1
_SIZES: Final[dict[Pool, int]] = {"fs": max(8, 2 * _CORES), "cpu": max(2, _CORES), "net": 8}


class Threads(concurrent.futures.ThreadPoolExecutor):
    """A pool that makes do with the threads it has where the kernel gives it no more.

    The library's own has queued by then what it says it cannot do, and does it later, after its
    caller has undone the rest.
    """

    def _adjust_thread_count(self) -> None:
        try:
            super()._adjust_thread_count()
        except RuntimeError as error:
            if self._threads:
                return
            while not self._work_queue.empty():
                self._work_queue.get_nowait().future.cancel()
            raise _no_thread(error) from error


_pools: dict[Pool, Threads] = {}


def _pool(name: Pool) -> Threads:
    if name not in _pools:
        _pools[name] = Threads(_SIZES[name], thread_name_prefix=f"moorage-{name}")
    return _pools[name]


def begin(thread: threading.Thread) -> None:
    """Start a thread that is no pool's. Raises: System, where the kernel gives none."""
    try:
        thread.start()
    except RuntimeError as error:
        raise _no_thread(error) from error


def _no_thread(error: RuntimeError) -> System:
    return System(
        f"the daemon {error}: it is at a limit of processes",
        hint="see TasksMax= of its unit, pids.max of its cgroup, ulimit -u",
    )


async def run(pool: Pool, work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """Run blocking *work* in a thread of *pool*.

    Cancel: the caller stops waiting; the thread still finishes.
    """
    return await start(pool, work, *args, **kwargs)


async def run_to_end(pool: Pool, work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """Run blocking *work* in a thread of *pool*, on something that the caller closes afterwards.

    Cancel: takes effect when the thread has finished; what *work* returned is lost.
    """
    running = start(pool, work, *args, **kwargs)
    try:
        return await asyncio.shield(running)
    except asyncio.CancelledError:
        await asyncio.wait({running})
        raise


async def obtain(pool: Pool, work: Callable[[], T], give_back: Callable[[T], object]) -> T:
    """Run blocking *work*, which returns something that somebody has to let go of.

    Cancel: takes effect when the thread has finished, and *give_back* has got what it made.
    """
    running = start(pool, work)
    try:
        return await asyncio.shield(running)
    except asyncio.CancelledError:
        await asyncio.wait({running})
        if running.exception() is None:
            give_back(running.result())
        raise


def start(pool: Pool, work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> asyncio.Future[T]:
    """Start blocking *work* in a thread of *pool*; somebody has to wait for it."""
    call = functools.partial(work, *args, **kwargs)
    return asyncio.get_running_loop().run_in_executor(_pool(pool), call)


async def run_disposable(work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """Run *work* in a new thread that dies with it, for setns(2), unshare(2) and the like."""
    return await start_disposable(work, *args, **kwargs)


def start_disposable(work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> asyncio.Future[T]:
    """Start *work* in a new thread; also for work that lasts as long as a client likes."""
    loop = asyncio.get_running_loop()
    return asyncio.wrap_future(_start_thread(work, *args, **kwargs), loop=loop)


async def run_beside(
    other: Coroutine[object, object, object], work: Callable[[Callable[[], None]], T]
) -> T:
    """Run blocking *work* in a new thread that dies with it, while *other* is awaited.

    *work* is given what blocks until *other* is done. It calls it before the step that needs that,
    and undoes what it has made so far should it raise: *other* has failed.
    Raises: what *other* raised, else what *work* raised; System (no thread to be had).
    """
    gate: concurrent.futures.Future[None] = concurrent.futures.Future()
    try:
        running = start_disposable(work, gate.result)
    except System:
        other.close()
        raise
    try:
        await other
    except BaseException as error:
        gate.set_exception(error)
        await asyncio.wait({running})
        running.exception()  # it is *other*'s, or comes of it: nobody else is to be told
        raise
    gate.set_result(None)
    return await running


def _start_thread(
    work: Callable[P, T], *args: P.args, **kwargs: P.kwargs
) -> concurrent.futures.Future[T]:
    future: concurrent.futures.Future[T] = concurrent.futures.Future()
    future.set_running_or_notify_cancel()  # a caller that stops waiting does not cancel the work

    def body() -> None:
        try:
            future.set_result(work(*args, **kwargs))
        except BaseException as error:  # noqa: BLE001 - carried to the awaiting caller
            future.set_exception(error)

    try:
        _thread.start_new_thread(body, ())  # threading's waits until the new one has got its turn
    except RuntimeError as error:
        raise _no_thread(error) from error
    return future


def until(
    enough: Callable[[], bool], work: Callable[P, None], *args: P.args, **kwargs: P.kwargs
) -> None:
    """Do *work* in a thread of its own; return when it is done, or sooner once *enough* holds.

    For system calls that go on long after they have had their effect. Blocking; the new thread
    has the namespaces of the calling one, and finishes in any case.
    Raises: what *work* raised, if it failed before *enough* held.
    """
    future = _start_thread(work, *args, **kwargs)
    while not enough() and not future.done():
        concurrent.futures.wait([future], _LOOK_S)
    if future.done():
        future.result()
