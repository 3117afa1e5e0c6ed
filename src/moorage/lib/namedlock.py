"""One lock for each name, kept only while somebody holds or awaits it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager


class NamedLocks:
    """Locks by name: what is done to one object is done in turn, to different ones at once."""

    def __init__(self) -> None:
        self._locks: dict[str, tuple[asyncio.Lock, int]] = {}  # with the number of interested

    @asynccontextmanager
    async def hold(self, name: str) -> AsyncIterator[None]:
        """Hold the lock of *name*. Cancel: gives up its place in the queue."""
        lock, interested = self._locks.get(name) or (asyncio.Lock(), 0)
        self._locks[name] = (lock, interested + 1)
        try:
            async with lock:
                yield
        finally:
            _, interested = self._locks[name]
            if interested == 1:
                del self._locks[name]
            else:
                self._locks[name] = (lock, interested - 1)
