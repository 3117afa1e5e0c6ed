"""An event loop small enough for a process that is copied once per container."""

from __future__ import annotations

import select
import time

from moor_shim import lean
from moor_shim.bare import TYPE_CHECKING, heappop, heappush, partial
from moor_shim.protocol import ERROR_FILE

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Final

MAX_FAULTS: Final = 100  # then it is no accident but a loop
CALM_S: Final = 1.0

IN = select.EPOLLIN
OUT = select.EPOLLOUT
PRI = select.EPOLLPRI


class Loop:
    """Descriptors and timers; runs until ``stop``."""

    def __init__(self) -> None:
        self._epoll = select.epoll()
        self._handlers: dict[int, Callable[[int], None]] = {}
        self._timers: list[tuple[float, int, Callable[[], None]]] = []
        self._count = 0
        self._faults = 0  # in a row, none of them calm apart
        self._last_fault = 0.0
        self._running = True
        self._quiet_s = -1.0  # never
        self._on_quiet: Callable[[], None]

    def watch(self, fd: int, mask: int, handler: Callable[[int], None]) -> None:
        """Call *handler* with the events of *fd* in *mask*; 0 ends it.

        A mask of 0 unregisters: epoll would report a hang-up even then, for ever.
        """
        if not mask:
            self.forget(fd)
        elif fd in self._handlers:
            self._handlers[fd] = handler
            self._epoll.modify(fd, mask)
        else:
            self._epoll.register(fd, mask)
            self._handlers[fd] = handler

    def forget(self, fd: int) -> None:
        """Stop watching *fd*; must come before its close."""
        if self._handlers.pop(fd, None) is not None:
            self._epoll.unregister(fd)

    def after(self, seconds: float, call: Callable[[], None]) -> None:
        """Call once, *seconds* from now."""
        self._count += 1
        heappush(self._timers, (time.monotonic() + seconds, self._count, call))

    def when_quiet(self, seconds: float, call: Callable[[], None]) -> None:
        """Call each time that nothing has happened, and is due, for *seconds* after something."""
        self._quiet_s = seconds
        self._on_quiet = call

    def stop(self) -> None:
        """Make ``run`` return."""
        self._running = False

    def run(self) -> None:
        """Serve until stopped."""
        quiet = False
        while self._running:
            if self._timers:
                timeout = max(0.0, self._timers[0][0] - time.monotonic())
            else:
                timeout = -1 if quiet else self._quiet_s
            happened = self._epoll.poll(timeout)
            if not happened and not self._timers:
                quiet = True
                self._guarded(self._on_quiet)
                continue
            quiet = False
            for fd, events in happened:
                handler = self._handlers.get(fd)  # an earlier handler may have ended it
                if handler is not None:
                    self._guarded(partial(handler, events))
            now = time.monotonic()
            while self._timers and self._timers[0][0] <= now:
                self._guarded(heappop(self._timers)[2])

    def _guarded(self, call: Callable[[], None]) -> None:
        """Run *call*; a fault in it is noted, and the process that is watched stays watched."""
        try:
            call()
        except Exception:
            now = time.monotonic()
            self._faults = self._faults + 1 if now - self._last_fault < CALM_S else 1
            self._last_fault = now
            if self._faults > MAX_FAULTS:
                raise
            lean.append_traceback(ERROR_FILE)
