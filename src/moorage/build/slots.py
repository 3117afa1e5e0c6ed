"""Leave to work: one step per core, and more while the cores have nothing to do.

Steps that compute share the cores well only if there are no more of them than cores; steps that
wait (for a download, a server, a sleep) leave the cores idle and need not keep others waiting.
"""

from __future__ import annotations

import asyncio
import os
import time
from collections import deque
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final

from moorage.lib import offload

_LOOK_S: Final = 0.1  # how long the cores are watched before one step more is let in
_SPARE: Final = 0.6  # cores that must be idle for it
_MOST: Final = 16  # steps per core, whatever they do: each holds memory and mounts
_TICKS: Final = os.sysconf("SC_CLK_TCK")


def idle_s() -> float:
    """Return for how long the cores have been idle since boot, all together (proc(5), stat)."""
    line = Path("/proc/stat").read_text().partition("\n")[0].split()
    return (int(line[4]) + int(line[5])) / _TICKS  # idle, iowait


class Slots:
    """One for the daemon; those who wait go in order of arrival."""

    def __init__(self, cores: int, *, idle_s: Callable[[], float] = idle_s) -> None:
        self._cores = cores
        self._idle_s = idle_s
        self._taken = 0
        self._waiting: deque[asyncio.Future[None]] = deque()

    @asynccontextmanager
    async def take(self) -> AsyncIterator[None]:
        """Wait for leave, and give it back at the end."""
        if self._taken < self._cores and not self._waiting:
            self._taken += 1
        else:
            await self._wait_turn()
        try:
            yield
        finally:
            self._taken -= 1
            if self._taken < self._cores:
                self._admit()

    def _admit(self) -> None:
        """Let in the one that has waited longest."""
        if self._waiting:
            self._taken += 1
            self._waiting.popleft().set_result(None)

    async def _wait_turn(self) -> None:
        turn = asyncio.get_running_loop().create_future()
        self._waiting.append(turn)
        try:
            while not turn.done():
                spare = await self._wait_spare(turn)
                first = bool(self._waiting) and self._waiting[0] is turn
                if first and spare > _SPARE and self._taken < self._cores * _MOST:
                    self._admit()
        except BaseException:
            if turn in self._waiting:
                self._waiting.remove(turn)
            elif turn.done():  # let in at the moment of being cancelled
                self._taken -= 1
                self._admit()
            raise

    async def _wait_spare(self, turn: asyncio.Future[None]) -> float:
        """Wait a moment for *turn*; return how many cores were idle meanwhile."""
        began, idle = time.monotonic(), await offload.run("fs", self._idle_s)
        await asyncio.wait([turn], timeout=_LOOK_S)
        passed = time.monotonic() - began
        if turn.done() or passed < _LOOK_S:
            return 0.0
        return (await offload.run("fs", self._idle_s) - idle) / passed
