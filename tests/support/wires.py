"""Two ends of a connection in memory, in the shape of a hijacked one."""

from __future__ import annotations

import asyncio


class End:
    """One end: reads what the other writes."""

    def __init__(
        self, entry: asyncio.Queue[bytes], way_out: asyncio.Queue[bytes], closed: asyncio.Event
    ) -> None:
        self._entry = entry
        self._way_out = way_out
        self._closed = closed  # the same for both ends

    async def read(self) -> bytes:
        """Return what the other end wrote; empty once it is closed."""
        return await self._entry.get()

    async def write(self, data: bytes) -> None:
        """Hand *data* over."""
        if self._closed.is_set():
            raise ConnectionResetError("closed")
        self._way_out.put_nowait(data)

    def close(self) -> None:
        """Close both directions."""
        self._closed.set()
        self._entry.put_nowait(b"")
        self._way_out.put_nowait(b"")


def pair() -> tuple[End, End]:
    """Return two ends that are connected."""
    there, back = asyncio.Queue[bytes](), asyncio.Queue[bytes]()
    closed = asyncio.Event()
    return End(back, there, closed), End(there, back, closed)
