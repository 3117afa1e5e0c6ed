# ruff: noqa: ARG002 - the fake worker has the signatures of the real one
from __future__ import annotations

import asyncio
import itertools
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager, nullcontext

import pytest

from moorage.build.graph import MakeDirectory, Merge, Scratch, Vertex
from moorage.build.progress import Progress, VertexEvent
from moorage.build.result import LayerRef, Result, Snapshot
from moorage.build.slots import Slots
from moorage.build.solver import Build, Solver, Step, VertexFailed
from moorage.lib.errors import NotFound
from moorage.lib.tasks import Supervisor
from moorage.spec.digest import Digest


def step(name: str, *inputs: Vertex, use_cache: bool = True) -> Vertex:
    return Vertex(
        MakeDirectory(path=name), inputs or (Vertex(Scratch()),), name=name, use_cache=use_cache
    )


class Worker:
    def __init__(self) -> None:
        self.done: list[str] = []
        self.cache: dict[str, Result] = {}
        self.running = 0
        self.most = 0
        self.gate = asyncio.Event()
        self.gate.set()
        self.fail = ""

    async def keys(self, vertex: Vertex, inputs: Sequence[Result], build: Build) -> Sequence[str]:
        return (f"{vertex.operation} {inputs}",)

    async def look_up(
        self, vertex: Vertex, inputs: Sequence[Result], keys: Sequence[str], build: Build
    ) -> Result | None:
        return self.cache.get(keys[0])

    async def work(
        self,
        vertex: Vertex,
        inputs: Sequence[Result],
        keys: Sequence[str],
        build: Build,
        step: Step,
    ) -> Result:
        self.running += 1
        self.most = max(self.most, self.running)
        try:
            step.log(1, b"working")
            await self.gate.wait()
            await asyncio.sleep(0.01)
            if vertex.name == self.fail:
                raise NotFound("nothing there")
            self.done.append(vertex.name)
            self.cache[keys[0]] = Snapshot((LayerRef(Digest(vertex.name), vertex.digest),))
            return self.cache[keys[0]]
        finally:
            self.running -= 1

    def using(self, inputs: Sequence[Result]) -> AbstractAsyncContextManager[None]:
        return nullcontext()

    def hold(self, result: Result, build: Build) -> None:
        pass


def run(
    story: Callable[[Worker, Solver], Awaitable[None]],
    slots: int = 4,
    idle_s: Callable[[], float] = lambda: 0.0,
) -> Worker:
    async def body() -> Worker:
        worker = Worker()
        owner = Supervisor("test")
        await story(
            worker, Solver(worker=worker, supervisor=owner, slots=Slots(slots, idle_s=idle_s))
        )
        await asyncio.wait_for(owner.wait_idle(), 5)
        return worker

    return asyncio.run(body())


def build(name: str = "b") -> Build:
    return Build(name, Progress())


def test_independent_steps_run_together_within_the_slots() -> None:
    top = Vertex(Merge(), tuple(step(f"s{n}") for n in range(6)), name="top")

    async def story(_: Worker, solver: Solver) -> None:
        await solver.solve(top, build())

    assert run(story, slots=3).most == 3


def test_steps_that_leave_the_cores_idle_keep_no_others_waiting() -> None:
    top = Vertex(Merge(), tuple(step(f"s{n}") for n in range(4)), name="top")

    async def story(worker: Worker, solver: Solver) -> None:
        worker.gate.clear()
        begun: list[VertexEvent] = []
        one = build()
        all_run = asyncio.Event()

        def hear(event: object) -> None:
            if isinstance(event, VertexEvent) and not event.completed_ns:
                begun.append(event)
                if len(begun) == 4:
                    all_run.set()

        one.progress.listen(hear)
        solved = asyncio.ensure_future(solver.solve(top, one))
        await asyncio.wait_for(all_run.wait(), 20)
        worker.gate.set()
        await solved

    idle = itertools.count(step=1000)
    assert run(story, slots=1, idle_s=lambda: float(next(idle))).most == 4


def test_a_step_has_begun_when_it_need_not_wait_any_more() -> None:
    events: list[VertexEvent] = []
    top = Vertex(Merge(), (step("s1"), step("s2")), name="top")

    async def story(_: Worker, solver: Solver) -> None:
        one = build()
        one.progress.listen(
            lambda event: events.append(event) if isinstance(event, VertexEvent) else None
        )
        await solver.solve(top, one)

    run(story, slots=1)
    kinds = [(event.name, bool(event.completed_ns)) for event in events]
    assert kinds[:4] == [("s1", False), ("s1", True), ("s2", False), ("s2", True)]
    assert events[2].started_ns >= events[1].completed_ns


def test_who_is_cancelled_while_waiting_takes_no_slot() -> None:
    async def story(worker: Worker, solver: Solver) -> None:
        worker.gate.clear()
        running, waiting, last = (
            asyncio.ensure_future(solver.solve(step(name), build(name))) for name in "abc"
        )
        await asyncio.sleep(0.02)
        waiting.cancel()
        await asyncio.wait([waiting])
        worker.gate.set()
        await running
        await last

    assert run(story, slots=1).done == ["a", "c"]


def test_a_step_waits_for_its_inputs_and_is_done_once() -> None:
    base = step("base")
    top = Vertex(Merge(), (step("a", base), step("b", base)), name="top")

    async def story(_: Worker, solver: Solver) -> None:
        await solver.solve(top, build())

    done = run(story).done
    assert done[0] == "base"
    assert done[-1] == "top"
    assert sorted(done) == ["a", "b", "base", "top"]


def test_equal_work_of_two_builds_is_done_once_and_told_to_both() -> None:
    heard: list[str] = []

    async def story(worker: Worker, solver: Solver) -> None:
        worker.gate.clear()
        builds = [build("1"), build("2")]
        for one in builds:
            one.progress.listen(lambda event: heard.append(type(event).__name__))
        async with asyncio.TaskGroup() as group:
            for one in builds:
                group.create_task(solver.solve(step("same"), one))
            await asyncio.sleep(0.02)
            worker.gate.set()

    assert run(story).done == ["same"]
    assert heard.count("LogEvent") == 2


def test_one_build_that_goes_does_not_take_the_work_from_the_other() -> None:
    async def story(worker: Worker, solver: Solver) -> None:
        worker.gate.clear()
        first = asyncio.ensure_future(solver.solve(step("same"), build("1")))
        second = asyncio.ensure_future(solver.solve(step("same"), build("2")))
        await asyncio.sleep(0.02)
        first.cancel()
        await asyncio.wait([first])
        worker.gate.set()
        assert isinstance(await second, Snapshot)

    assert run(story).done == ["same"]


def test_work_nobody_waits_for_is_cancelled() -> None:
    async def story(worker: Worker, solver: Solver) -> None:
        worker.gate.clear()
        only = asyncio.ensure_future(solver.solve(step("long"), build()))
        await asyncio.sleep(0.02)
        only.cancel()
        await asyncio.wait([only])
        assert worker.running == 0

    assert run(story).done == []


def test_a_hit_is_told_and_no_cache_means_work() -> None:
    events: list[VertexEvent] = []

    async def story(_: Worker, solver: Solver) -> None:
        await solver.solve(step("x"), build("1"))
        second = build("2")
        second.progress.listen(
            lambda event: events.append(event) if isinstance(event, VertexEvent) else None
        )
        await solver.solve(step("x"), second)
        await solver.solve(step("x", use_cache=False), build("3"))

    assert run(story).done == ["x", "x"]
    assert [event.cached for event in events] == [True]


def test_a_failure_says_which_step_and_stops_the_others() -> None:
    async def story(worker: Worker, solver: Solver) -> None:
        worker.fail = "bad"
        top = Vertex(Merge(), (step("bad"), step("after", step("slow"))), name="top")
        with pytest.raises(VertexFailed) as caught:
            await solver.solve(top, build())
        assert caught.value.vertex.name == "bad"
        assert isinstance(caught.value.__cause__, NotFound)

    assert "top" not in run(story).done
