"""The progress of a build in the shape of BuildKit's Status."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from typing import Final

from moorage.build.progress import Event, LogEvent, StatusEvent, VertexEvent, WarningEvent
from moorage.buildkit.wire.control import (
    StatusResponse,
    Timestamp,
    Vertex,
    VertexLog,
    VertexStatus,
    VertexWarning,
)
from moorage.lib import clock

_PULL: Final = "pull "
_PUSH: Final = "push "


class StatusLog:
    """Everything told of one solve; who listens late hears it from the beginning."""

    def __init__(self) -> None:
        self._told: list[StatusResponse] = []
        self._ended = False
        self._changed = asyncio.Event()

    def put(self, told: StatusResponse) -> None:
        """Tell."""
        self._told.append(told)
        self._changed.set()

    def end(self) -> None:
        """Say that this is all."""
        self._ended = True
        self._changed.set()

    async def follow(self) -> AsyncIterator[StatusResponse]:
        """Yield what was and what will be told, to the end; what waits comes as one."""
        at = 0
        while True:
            fresh = self._told[at:]
            at += len(fresh)
            if fresh:
                yield _joined(fresh)
            elif self._ended:
                return
            else:
                self._changed.clear()
                await self._changed.wait()


def _joined(told: list[StatusResponse]) -> StatusResponse:
    return StatusResponse(
        vertexes=[item for one in told for item in one.vertexes],
        statuses=[item for one in told for item in one.statuses],
        logs=[item for one in told for item in one.logs],
        warnings=[item for one in told for item in one.warnings],
    )


class Narrator:
    """Tells a log of a build's events, and of what happens around the build."""

    def __init__(self, log: StatusLog) -> None:
        self._log = log
        self._open: dict[str, Vertex] = {}  # of our own making, by what they are about
        self._statuses: dict[tuple[str, str], int] = {}  # when each began

    def hear(self, event: Event) -> None:
        """Pass an event on."""
        match event:
            case VertexEvent():
                self._finish(_PULL)
                self._vertex(event)
            case LogEvent():
                line = VertexLog(
                    vertex=event.id,
                    timestamp=Timestamp.of_ns(event.time_ns),
                    stream=event.stream,
                    msg=event.text.encode("utf-8", "surrogateescape"),
                )
                self._log.put(StatusResponse(logs=[line]))
            case StatusEvent():
                self._status(event)
            case WarningEvent():
                self._warning(event)

    def _vertex(self, event: VertexEvent) -> None:
        vertex = Vertex(
            digest=event.id,
            inputs=list(event.inputs),
            name=event.name,
            cached=event.cached,
            started=Timestamp.of_ns(event.started_ns),
            completed=Timestamp.of_ns(event.completed_ns) if event.completed_ns else None,
            error=event.error,
        )
        self._log.put(StatusResponse(vertexes=[vertex]))

    def _status(self, event: StatusEvent) -> None:
        digest = event.id
        if event.id.startswith((_PULL, _PUSH)):
            digest = self._begin(event.id, event.id.replace(" ", "ing ", 1)).digest
        self.say(digest, event.name, event.current, event.total, completed=event.completed)

    def say(self, digest: str, name: str, current: int, total: int, *, completed: bool) -> None:
        """Say how far a part of the step *digest* has come."""
        now = clock.now_ns()
        began = self._statuses.setdefault((digest, name), now)
        status = VertexStatus(
            id=name,
            vertex=digest,
            current=current,
            total=total,
            timestamp=Timestamp.of_ns(now),
            started=Timestamp.of_ns(began),
            completed=Timestamp.of_ns(now) if completed else None,
        )
        self._log.put(StatusResponse(statuses=[status]))

    def _warning(self, event: WarningEvent) -> None:
        self._finish(_PULL)
        digest = self._begin("checks", "[internal] checks of the Dockerfile").digest
        short = f"{event.rule}: {event.detail}" + (f" (line {event.line})" if event.line else "")
        warning = VertexWarning(
            vertex=digest,
            level=1,
            short=short.encode(),
            detail=[line.encode() for line in event.frame.splitlines()],
            url=event.url,
        )
        self._log.put(StatusResponse(warnings=[warning]))
        self._finish("checks")

    # --- steps of our own ----------------------------------------------------------------------

    def _begin(self, key: str, name: str) -> Vertex:
        found = self._open.get(key)
        if found is None:
            digest = f"sha256:{hashlib.sha256(f'{id(self)} {key}'.encode()).hexdigest()}"
            found = Vertex(digest=digest, name=name, started=Timestamp.of_ns(clock.now_ns()))
            self._open[key] = found
            self._log.put(StatusResponse(vertexes=[found]))
        return found

    def _finish(self, start: str, error: str = "") -> None:
        """End those whose key begins with *start*."""
        for key in [key for key in self._open if key.startswith(start)]:
            begun = self._open.pop(key)
            done = Vertex(
                digest=begun.digest,
                name=begun.name,
                started=begun.started,
                completed=Timestamp.of_ns(clock.now_ns()),
                error=error,
            )
            self._log.put(StatusResponse(vertexes=[done]))

    @contextmanager
    def step(self, name: str) -> Iterator[Step]:
        """Tell of a step while it lasts."""
        vertex = self._begin(name, name)
        try:
            yield Step(self, vertex.digest)
        except BaseException as error:
            self._finish(name, str(error) or "cancelled")
            raise
        self._finish(name)

    def close(self, error: str = "") -> None:
        """End what is still open."""
        self._finish("", error)


class Step:
    """One step, to tell of its parts."""

    def __init__(self, narrator: Narrator, digest: str) -> None:
        self._narrator = narrator
        self._digest = digest

    def part(self, name: str, current: int = 0, *, completed: bool = False) -> None:
        """Say how far a part has come."""
        self._narrator.say(self._digest, name, current, 0, completed=completed)
