"""The event bus: what happened in the engine, for ``GET /events`` and for the engine itself.

Publishing never waits: a subscriber that reads too slowly loses its oldest events and is told how
many. The newest events are kept for ``since``.
"""

from __future__ import annotations

import asyncio
import logging
import threading
from collections import deque
from collections.abc import AsyncIterator, Callable
from typing import Final

from moorage.lib import clock
from moorage.spec.engine.events import EventActor, EventMessage

log = logging.getLogger(__name__)

REPLAY_LIMIT: Final = 1024  # events kept for ``since``; dockerd keeps 256
BACKLOG_LIMIT: Final = 4096  # events that one subscriber may lag behind

Condition = Callable[[EventMessage], bool]
Listener = Callable[[EventMessage], None]


class Subscription:
    """One reader of the bus; iterate over it. Ends at *until_ns*, if that is given."""

    def __init__(self, condition: Condition | None, until_ns: int | None) -> None:
        self._condition = condition
        self._until_ns = until_ns
        self._ends = None if until_ns is None else clock.deadline(until_ns)
        self._waiting: deque[EventMessage] = deque()
        self._arrived = asyncio.Event()
        self.dropped = 0

    def offer(self, event: EventMessage) -> None:
        """Queue *event* if the reader asked for its kind."""
        if self._until_ns is not None and event.time_nano > self._until_ns:
            return
        if self._condition is not None and not self._condition(event):
            return
        if len(self._waiting) >= BACKLOG_LIMIT:
            self._waiting.popleft()
            if not self.dropped:
                log.warning("a reader of events is too slow: events are dropped")
            self.dropped += 1
        self._waiting.append(event)
        self._arrived.set()

    async def __aiter__(self) -> AsyncIterator[EventMessage]:
        """Yield events as they come, until the time is over."""
        while True:
            while self._waiting:
                yield self._waiting.popleft()
            self._arrived.clear()
            if not await self._wait_arrival():
                return

    async def _wait_arrival(self) -> bool:
        if self._ends is None:
            return await self._arrived.wait()
        left_s = self._ends - clock.monotonic()
        if left_s <= 0:
            return False
        try:
            async with asyncio.timeout(left_s):
                return await self._arrived.wait()
        except TimeoutError:
            return bool(self._waiting)


class Bus:
    """Publish and subscribe; all on the loop, except that ``publish`` may come from any thread."""

    def __init__(self, loop: asyncio.AbstractEventLoop | None = None) -> None:
        self._loop = loop or asyncio.get_running_loop()
        self._thread = threading.get_ident()
        self._recent: deque[EventMessage] = deque(maxlen=REPLAY_LIMIT)
        self._subscriptions: set[Subscription] = set()
        self._listeners: list[Listener] = []

    @property
    def subscriber_count(self) -> int:
        """How many readers follow the bus (``info``: NEventsListener)."""
        return len(self._subscriptions)

    def listen(self, listener: Listener) -> None:
        """Call *listener*, which never blocks, for every event of this daemon's life."""
        self._listeners.append(listener)

    def publish(
        self, kind: str, action: str, actor_id: str, attributes: dict[str, str] | None = None, /
    ) -> None:
        """Announce that *action* happened to the object *actor_id* of type *kind*."""
        now_ns = clock.now_ns()
        event = EventMessage(
            type=kind,
            action=action,
            actor=EventActor(id=actor_id, attributes=dict(attributes or {})),
            scope="local",
            time=now_ns // 1_000_000_000,
            time_nano=now_ns,
        )
        if threading.get_ident() == self._thread:
            self._deliver(event)
        else:
            self._loop.call_soon_threadsafe(self._deliver, event)

    def _deliver(self, event: EventMessage) -> None:
        self._recent.append(event)
        for listener in self._listeners:
            listener(event)
        for subscription in self._subscriptions:
            subscription.offer(event)

    async def subscribe(
        self,
        condition: Condition | None = None,
        *,
        since_ns: int | None = None,
        until_ns: int | None = None,
    ) -> AsyncIterator[EventMessage]:
        """Yield events: first those kept since *since_ns*, then new ones until *until_ns*.

        Without *since_ns* only new ones come, unless *until_ns* has passed already. The
        subscription begins at the first step of the iteration.
        """
        subscription = Subscription(condition, until_ns)
        past = until_ns is not None and until_ns <= clock.now_ns()
        if since_ns is not None or past:
            for event in self._recent:
                if event.time_nano >= (since_ns or 0):
                    subscription.offer(event)
        self._subscriptions.add(subscription)
        try:
            async for event in subscription:
                yield event
        finally:
            self._subscriptions.discard(subscription)
