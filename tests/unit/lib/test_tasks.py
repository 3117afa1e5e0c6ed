import asyncio
import os

import pytest

from moorage.lib import offload, tasks
from moorage.lib.errors import NotFound, System
from moorage.lib.failpoint import failpoint


def test_finish_goes_on_when_its_caller_is_cancelled() -> None:
    async def main() -> None:
        owner = tasks.Supervisor("test")
        gate, done = asyncio.Event(), asyncio.Event()

        async def work() -> None:
            await gate.wait()
            done.set()

        caller = owner.start(tasks.finish(work(), owner, "work"), "caller")
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        caller.cancel()
        await asyncio.wait([caller])
        gate.set()
        await asyncio.wait_for(done.wait(), 5)
        await owner.close()

    asyncio.run(main())


def test_close_cancels_and_waits() -> None:
    async def main() -> bool:
        owner = tasks.Supervisor("test")
        task = owner.start(asyncio.Event().wait(), "forever")
        await owner.close()
        return bool(task.cancelled())

    assert asyncio.run(main())


def test_a_disposable_thread_carries_result_and_error() -> None:
    async def main() -> None:
        assert await offload.run_disposable(lambda: 7) == 7
        with pytest.raises(KeyError):
            await offload.run_disposable(os.environ.__getitem__, "no such variable")

    asyncio.run(main())


def test_an_unarmed_failpoint_does_nothing() -> None:
    failpoint("nobody.armed.this")


def test_what_is_meant_for_the_user_is_told_before_what_is_not() -> None:
    told = NotFound("x")
    group = ExceptionGroup("a", [OSError(), ExceptionGroup("b", [KeyError(), told]), System("y")])
    assert tasks.foremost(group) is told
    assert isinstance(tasks.foremost(group, System), System)
    assert isinstance(tasks.foremost(group, asyncio.QueueFull), OSError)
