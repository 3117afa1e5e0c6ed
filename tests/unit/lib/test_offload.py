"""Work in a thread beside other work that it needs the result of."""

from __future__ import annotations

import _thread
import asyncio
import gc
import threading
from collections.abc import Callable

import pytest

from moorage.lib import offload
from moorage.lib.errors import System


async def test_work_goes_on_beside_the_other_until_it_needs_it() -> None:
    steps: list[str] = []
    begun = asyncio.Event()
    loop = asyncio.get_running_loop()

    async def other() -> None:
        await begun.wait()  # so the work runs while this does
        steps.append("other")

    def work(ready: Callable[[], None]) -> str:
        steps.append("first half")
        loop.call_soon_threadsafe(begun.set)
        ready()
        steps.append("second half")
        return "done"

    assert await offload.run_beside(other(), work) == "done"
    assert steps == ["first half", "other", "second half"]


async def test_work_undoes_what_it_has_made_if_the_other_fails() -> None:
    made: list[str] = []

    async def other() -> None:
        raise System("refused")

    def work(ready: Callable[[], None]) -> None:
        made.append("half")
        try:
            ready()
        except System:
            made.clear()
            raise

    with pytest.raises(System, match="refused"):
        await offload.run_beside(other(), work)
    assert made == []


async def test_what_the_work_raises_is_raised_when_the_other_is_done() -> None:
    steps: list[str] = []

    async def other() -> None:
        await asyncio.sleep(0)
        steps.append("other")

    def work(ready: Callable[[], None]) -> None:
        del ready
        raise OSError(19, "no such device")

    with pytest.raises(OSError, match="no such device"):
        await offload.run_beside(other(), work)
    assert steps == ["other"]


async def test_work_that_fails_with_the_other_is_reported_once() -> None:
    async def other() -> None:
        raise System("refused")

    def work(ready: Callable[[], None]) -> None:
        ready()

    reported: list[dict[str, object]] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: reported.append(context))
    with pytest.raises(System, match="refused"):
        await offload.run_beside(other(), work)
    gc.collect()  # asyncio tells of errors nobody asked for when their future goes
    assert reported == []


async def test_a_pool_without_threads_says_so_and_does_nothing_later(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    done: list[str] = []
    with offload.Threads(2) as pool, monkeypatch.context() as limited:
        limited.setattr(threading, "_start_new_thread", refuse)
        with pytest.raises(System, match="can't start new thread: it is at a limit of processes"):
            pool.submit(done.append, "late")
        limited.undo()
        pool.submit(done.append, "first").result()
        limited.setattr(threading, "_start_new_thread", refuse)
        for number in range(9):  # those there are do it
            pool.submit(done.append, str(number))
    assert done == ["first", *map(str, range(9))]


async def test_without_a_thread_of_its_own_work_is_not_done(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(_thread, "start_new_thread", refuse)
    with pytest.raises(System, match="can't start new thread"):
        await offload.run_disposable(pytest.fail)
    with pytest.raises(System, match="can't start new thread"):
        await offload.run_beside(asyncio.sleep(0), lambda ready: ready())


def refuse(*_: object) -> int:
    raise RuntimeError("can't start new thread")


@pytest.mark.parametrize("fails", [False, True])
async def test_what_a_cancelled_caller_was_to_get_is_given_back(fails: bool) -> None:  # noqa: FBT001
    made, go = threading.Event(), threading.Event()
    back: list[str] = []

    def work() -> str:
        made.set()
        go.wait()
        if fails:
            raise OSError("no")
        return "made"

    task = asyncio.get_running_loop().create_task(offload.obtain("fs", work, back.append))
    await offload.run("net", made.wait)
    task.cancel()
    await asyncio.sleep(0)
    assert not task.done(), "the thread is at work"
    go.set()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert back == ([] if fails else ["made"])
