"""An epoll loop: descriptors and what to call for them. asyncio would cost memory and speed."""

from __future__ import annotations

import select
from collections.abc import Callable

Handler = Callable[[int], None]  # called with the events


class Loop:
    """Watches descriptors; not for threads."""

    def __init__(self) -> None:
        self._poll = select.epoll()
        self._handlers: dict[int, Handler] = {}
        self._first: set[int] = set()

    def watch(self, fd: int, events: int, handler: Handler, *, first: bool = False) -> None:
        """Call *handler* for *events* of *fd* from now on; replaces what was said before.

        *first*: before the handlers of others that have events at the same time.
        """
        if fd in self._handlers:
            self._poll.modify(fd, events)
        else:
            self._poll.register(fd, events)
        self._handlers[fd] = handler
        if first:
            self._first.add(fd)

    def forget(self, fd: int) -> None:
        """Watch *fd* no longer; call before closing it. Unknown is fine."""
        if self._handlers.pop(fd, None) is not None:
            self._poll.unregister(fd)
            self._first.discard(fd)

    def turn(self, timeout_s: float) -> None:
        """Wait for events, at most *timeout_s*, and call their handlers."""
        found = self._poll.poll(timeout_s)
        if len(found) > 1 and self._first:
            found.sort(key=lambda event: event[0] not in self._first)
        for fd, events in found:
            handler = self._handlers.get(fd)
            if handler is not None:  # another handler may have forgotten it just now
                handler(events)
