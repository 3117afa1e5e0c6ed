"""Bytes that arrived and wait for their reader, with back-pressure on the sender."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Final

HIGH_WATER: Final = 1 << 20  # bytes waiting; above it the socket is read no further


class Inbox:
    """One reader, one feeder, both on the loop. ``read`` gives all that waits, joined."""

    __slots__ = ("_chunks", "_ended", "_error", "_pause", "_paused", "_resume", "_size", "_waiter")

    def __init__(self, pause: Callable[[], None], resume: Callable[[], None]) -> None:
        self._pause = pause
        self._resume = resume
        self._chunks: list[bytes] = []
        self._size = 0
        self._paused = False
        self._ended = False
        self._error: Exception | None = None
        self._waiter: asyncio.Future[None] | None = None

    def feed(self, data: bytes) -> None:
        """Add what arrived."""
        self._chunks.append(data)
        self._size += len(data)
        if self._size > HIGH_WATER and not self._paused:
            self._paused = True
            self._pause()
        self._wake()

    def feed_eof(self) -> None:
        """Say that nothing more will come."""
        self._ended = True
        self._wake()

    def fail(self, error: Exception) -> None:
        """Let the reader see *error* once what came before it is read."""
        self._error = self._error or error
        self._ended = True
        self._wake()

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    @property
    def ended(self) -> bool:
        """Whether all has arrived (not: has been read)."""
        return self._ended

    async def read(self) -> bytes:
        """Return what waits, or wait for it; empty at the end."""
        while not self._chunks:
            if self._error is not None:
                raise self._error
            if self._ended:
                return b""
            self._waiter = asyncio.get_running_loop().create_future()
            try:
                await self._waiter
            finally:
                self._waiter = None
        return self.take()

    def take(self) -> bytes:
        """Return what waits, without waiting."""
        data = self._chunks[0] if len(self._chunks) == 1 else b"".join(self._chunks)
        self._chunks.clear()
        self._size = 0
        if self._paused:
            self._paused = False
            self._resume()
        return data
