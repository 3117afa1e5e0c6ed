"""Progress of pull and push, in the very messages the Docker CLI draws its lines from."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Coroutine
from contextlib import suppress
from typing import Any, Final

from msgspec import Struct, field

from moorage.lib import clock, ids, units
from moorage.lib.tasks import Supervisor

_INTERVAL_S: Final = 0.1  # between two messages about the advance of one layer
_BACKLOG: Final = 256  # messages a slow reader may leave before advances are skipped
_BAR: Final = 50


class Detail(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """How far something is, in bytes; empty for a change of state."""

    current: int = 0
    total: int = 0


class Message(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One line of the stream (Docker's ``JSONMessage``)."""

    stream: str = ""  # text shown as it is (load)
    status: str = ""
    progress_detail: Detail | None = field(default=None, name="progressDetail")
    progress: str = ""  # the bar, drawn for readers that do not draw it themselves
    id: str = ""
    aux: object = None


class Reporter:
    """Collects the messages of one operation and hands them to its reader."""

    def __init__(self) -> None:
        self._queue: asyncio.Queue[Message | None] = asyncio.Queue()
        self._lines: dict[str, Line] = {}
        self._loop = asyncio.get_running_loop()

    def post(self, message: Message) -> None:
        """Hand over a message from a thread."""
        self._loop.call_soon_threadsafe(self._queue.put_nowait, message)

    def say(self, status: str, *, id: str = "") -> None:  # noqa: A002 - the message's word
        """Say something that is no layer's progress."""
        self._queue.put_nowait(Message(status=status, id=id))

    def aux(self, value: object) -> None:
        """Hand a result to programs."""
        self._queue.put_nowait(Message(progress_detail=Detail(), aux=value))

    def watch(self, status: str) -> Watch:
        """Return what a thread tells how far each layer is."""
        return Watch(self, status)

    def is_behind(self) -> bool:
        """Whether the reader is so slow that advances are better left out."""
        return self._queue.qsize() > _BACKLOG

    def line(self, digest: str) -> Line:
        """Return the line of the layer *digest*."""
        short_id = ids.short(digest)
        if short_id not in self._lines:
            self._lines[short_id] = Line(self._queue, short_id)
        return self._lines[short_id]

    async def stream(
        self, work: Coroutine[Any, Any, None], owner: Supervisor, name: str
    ) -> AsyncIterator[Message]:
        """Run *work*, giving its messages as they come; then raise what it raised.

        Cancel: *work* is cancelled too, and awaited.
        """
        task = owner.start(work, name)
        task.add_done_callback(lambda _: self._queue.put_nowait(None))
        try:
            while (message := await self._queue.get()) is not None:
                yield message
            await task
        finally:
            if not task.done():
                task.cancel()
                with suppress(asyncio.CancelledError):
                    await task


class Line:
    """The line of one layer."""

    def __init__(self, queue: asyncio.Queue[Message | None], short_id: str) -> None:
        self._queue = queue
        self._id = short_id
        self._status = ""
        self._said: set[str] = set()
        self._next = 0.0

    def passed(self, *states: str) -> None:
        """Say which states the layer has been through, those that were too short to be noticed."""
        for status in states:
            if status not in self._said:
                self.state(status)

    def state(self, status: str) -> None:
        """Say that the layer's state is *status* now; the same twice is said once."""
        if status != self._status:
            self._status = status
            self._said.add(status)
            self._queue.put_nowait(Message(status=status, progress_detail=Detail(), id=self._id))

    def advance(self, status: str, current: int, total: int) -> None:
        """Say how far the layer is; not more often than people can read."""
        now = clock.monotonic()
        changed = status != self._status
        if not changed and (now < self._next or self._queue.qsize() > _BACKLOG):
            return
        self._status = status
        self._next = now + _INTERVAL_S
        self._queue.put_nowait(
            Message(
                status=status,
                progress_detail=Detail(current=current, total=total),
                progress=bar(current, total),
                id=self._id,
            )
        )


class Watch:
    """Shows the layers that a thread works on, one after another."""

    def __init__(self, reporter: Reporter, status: str) -> None:
        self._reporter = reporter
        self._status = status
        self._next = 0.0

    def __call__(self, layer: str, current: int, total: int) -> None:
        """Say how far *layer* is; not more often than people can read, but always its end."""
        now = clock.monotonic()
        if current < total and (now < self._next or self._reporter.is_behind()):
            return
        self._next = now + _INTERVAL_S
        self._reporter.post(
            Message(
                status=self._status,
                progress_detail=Detail(current=current, total=total),
                progress=bar(current, total),
                id=layer[:12],
            )
        )


def bar(current: int, total: int) -> str:
    """Draw what Docker draws on a wide terminal."""
    if current <= 0 and total <= 0:
        return ""
    done = units.human_size(current)
    if total <= 0:
        return f"{done:>8}"
    filled = min(int(current / total * 100) // 2, _BAR)
    numbers = f"{done:>8}/{units.human_size(total)}" if current <= total else f"{done:>8}"
    return f"[{'=' * filled}>{' ' * (_BAR - filled)}] {numbers}"
