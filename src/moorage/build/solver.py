"""Runs a graph: inputs first, independent vertices at the same time, equal work once.

A vertex is solved once in a build (by its digest). Work whose cache key is known is done once for
all builds that want it at the moment (a *flight*): each of them hears its progress, and it is
cancelled when the last one has gone. Only work that costs something takes one of the *slots*, so
waiting vertices hold none, and a vertex has begun when it has one.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from typing import Protocol

from moorage.build.graph import ImageSource, Scratch, Vertex
from moorage.build.progress import Event, LogEvent, Progress, StatusEvent, VertexEvent
from moorage.build.result import Result, Snapshot
from moorage.build.slots import Slots
from moorage.lib import clock, tasks
from moorage.lib.errors import MoorageError
from moorage.lib.tasks import Supervisor


@dataclass(slots=True)
class Build:
    """One running build, as the solver sees it."""

    id: str
    progress: Progress
    solved: dict[str, asyncio.Task[Result]] = field(default_factory=dict)
    cached: set[str] = field(default_factory=set)  # digests that came from the cache
    keys: dict[str, Sequence[str]] = field(default_factory=dict)  # cache keys by digest


class Step(Protocol):
    """What a worker sees of the vertex it works on."""

    def log(self, stream: int, chunk: bytes) -> None:
        """Pass output on."""

    def status(self, name: str, current: int, total: int, *, completed: bool = False) -> None:
        """Say how far something has come."""


class Worker(Protocol):
    """Does the operations."""

    async def keys(self, vertex: Vertex, inputs: Sequence[Result], build: Build) -> Sequence[str]:
        """Return the cache keys, the one that costs least to know first; empty: never cached."""

    async def look_up(
        self, vertex: Vertex, inputs: Sequence[Result], keys: Sequence[str], build: Build
    ) -> Result | None:
        """Return what the cache has under any of *keys*."""

    async def work(
        self,
        vertex: Vertex,
        inputs: Sequence[Result],
        keys: Sequence[str],
        build: Build,
        step: Step,
    ) -> Result:
        """Do it, and remember the result under *keys*."""

    def using(self, inputs: Sequence[Result]) -> AbstractAsyncContextManager[None]:
        """Keep *inputs* for work that may outlive the build they came from."""

    def hold(self, result: Result, build: Build) -> None:
        """Keep *result* until the build ends."""


class VertexFailed(Exception):
    """A vertex failed; ``__cause__`` says why."""

    def __init__(self, vertex: Vertex, inputs: Sequence[Result]) -> None:
        super().__init__(vertex.name)
        self.vertex = vertex
        self.inputs = tuple(inputs)


@dataclass(slots=True)
class _Flight:
    task: asyncio.Task[Result]
    relay: Progress
    taken_off: asyncio.Event  # it need not wait any more
    passengers: int = 0


class _Step:
    """Gives a worker's words the name of the vertex."""

    def __init__(self, digest: str, relay: Progress) -> None:
        self._digest = digest
        self.relay = relay
        self.taken_off = asyncio.Event()

    def log(self, stream: int, chunk: bytes) -> None:
        text = chunk.decode("utf-8", "replace")
        self.relay.emit(LogEvent(id=self._digest, stream=stream, text=text, time_ns=clock.now_ns()))

    def status(self, name: str, current: int, total: int, *, completed: bool = False) -> None:
        self.relay.emit(
            StatusEvent(
                id=self._digest, name=name, current=current, total=total, completed=completed
            )
        )


class Solver:
    """One for the daemon."""

    def __init__(self, *, worker: Worker, supervisor: Supervisor, slots: Slots) -> None:
        self._worker = worker
        self._supervisor = supervisor
        self._slots = slots
        self._flights: dict[str, _Flight] = {}

    async def solve(self, vertex: Vertex, build: Build) -> Result:
        """Return what *vertex* gives.

        Raises: VertexFailed.
        Cancel: what no other build needs is cancelled too.
        """
        try:
            async with asyncio.TaskGroup() as group:
                task = self._start(vertex, build, group)
        except ExceptionGroup as failures:
            raise tasks.foremost(failures, VertexFailed)  # noqa: B904 - "from" would hide why the step failed
        return task.result()

    def _start(
        self, vertex: Vertex, build: Build, group: asyncio.TaskGroup
    ) -> asyncio.Task[Result]:
        if vertex.digest not in build.solved:
            inputs = [self._start(child, build, group) for child in vertex.inputs]
            build.solved[vertex.digest] = group.create_task(self._solve(vertex, build, inputs))
        return build.solved[vertex.digest]

    async def _solve(
        self, vertex: Vertex, build: Build, waiting: Sequence[Awaitable[Result]]
    ) -> Result:
        inputs = [await result for result in waiting]
        if isinstance(vertex.operation, Scratch):
            return Snapshot()
        visible = bool(vertex.name)
        begun = clock.now_ns()

        def begin() -> None:
            nonlocal begun
            begun = clock.now_ns()
            report(completed=False)

        def report(*, completed: bool, cached: bool = False, error: str = "") -> None:
            if visible:
                build.progress.emit(
                    VertexEvent(
                        id=vertex.digest,
                        name=vertex.name,
                        inputs=tuple(child.digest for child in vertex.inputs),
                        place=vertex.place,
                        stage=vertex.stage,
                        started_ns=begun,
                        completed_ns=clock.now_ns() if completed else 0,
                        cached=cached,
                        error=error,
                    )
                )

        try:
            result, cached = await self._obtain(vertex, inputs, build, begin)
        except asyncio.CancelledError:
            report(completed=True, error="cancelled")
            raise
        except (MoorageError, OSError) as error:
            report(completed=True, error=str(error))
            raise VertexFailed(vertex, inputs) from error
        if cached:
            build.cached.add(vertex.digest)
        report(completed=True, cached=cached)
        self._worker.hold(result, build)
        return result

    async def _obtain(
        self,
        vertex: Vertex,
        inputs: Sequence[Result],
        build: Build,
        begin: Callable[[], None],
    ) -> tuple[Result, bool]:
        keys = await self._worker.keys(vertex, inputs, build)
        build.keys[vertex.digest] = keys
        if vertex.use_cache and keys:
            found = await self._worker.look_up(vertex, inputs, keys, build)
            if found is not None:
                return found, True
        shared = keys[-1] if keys and vertex.use_cache else f"{build.id}/{vertex.digest}"
        return await self._board(shared, vertex, inputs, keys, build, begin=begin), False

    async def _board(
        self,
        shared: str,
        vertex: Vertex,
        inputs: Sequence[Result],
        keys: Sequence[str],
        build: Build,
        *,
        begin: Callable[[], None],
    ) -> Result:
        """Join the flight for *shared*, or be the first of it."""
        flight = self._flights.get(shared)
        if flight is None:
            step = _Step(vertex.digest, Progress())
            work = self._fly(vertex, inputs, keys, build, step)
            task = self._supervisor.start(work, f"build {vertex.name}")
            task.add_done_callback(lambda _: step.taken_off.set())
            flight = self._flights[shared] = _Flight(task, step.relay, step.taken_off)
        flight.passengers += 1

        def forward(event: Event) -> None:
            build.progress.emit(event)

        leave: Callable[[], None] | None = None
        try:
            await flight.taken_off.wait()
            begin()
            leave = flight.relay.listen(forward)
            return await asyncio.shield(flight.task)
        finally:
            if leave is not None:
                leave()
            flight.passengers -= 1
            if not flight.passengers:
                if self._flights.get(shared) is flight:
                    del self._flights[shared]
                if not flight.task.done():
                    flight.task.cancel()
                    await asyncio.wait([flight.task])

    async def _fly(
        self,
        vertex: Vertex,
        inputs: Sequence[Result],
        keys: Sequence[str],
        build: Build,
        step: _Step,
    ) -> Result:
        if isinstance(vertex.operation, ImageSource):
            step.taken_off.set()
            return await self._worker.work(vertex, inputs, keys, build, step)
        async with self._worker.using(inputs), self._slots.take():
            step.taken_off.set()
            return await self._worker.work(vertex, inputs, keys, build, step)
