"""Byte streams between the event loop and a thread that reads or writes an ordinary file object.

``feed``     async chunks in, a blocking reader in the thread (load, import, copy into a container)
``iterate``  a blocking writer in the thread, async chunks out (save, export, copy out)

Both hold at most ``LIMIT`` bytes between the sides, and neither returns before its thread has
ended. The thread is one of its own: a slow client must not occupy a pool.
"""

from __future__ import annotations

import asyncio
import io
import threading
from collections import deque
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from typing import TYPE_CHECKING, BinaryIO, Final, TypeVar, cast

from moorage.lib import offload
from moorage.lib.tasks import Supervisor

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer, WriteableBuffer

T = TypeVar("T")
LIMIT: Final = 2 << 20  # bytes between the two sides
_WRITE_BUFFER: Final = 256 << 10


async def feed(chunks: AsyncIterator[bytes], consume: Callable[[BinaryIO], T]) -> T:
    """Run *consume* in a thread, on a file that reads what *chunks* yields.

    An error of *chunks* is raised by the file's ``read``. *consume* may stop reading early.
    Cancel: ``read`` raises ConnectionAbortedError in the thread, and its end is waited for.
    """
    pipe = _Pipe(asyncio.get_running_loop())
    reader = cast("BinaryIO", io.BufferedReader(_Reader(pipe), _WRITE_BUFFER))
    working = offload.start_disposable(consume, reader)
    feeder = Supervisor("feed")
    _ = feeder.start(_pump(chunks, pipe), "pump")
    try:
        return await asyncio.shield(working)
    finally:
        pipe.abort()
        await feeder.close()
        await _wait_ended(working)


async def _pump(chunks: AsyncIterator[bytes], pipe: _Pipe) -> None:
    try:
        async for chunk in chunks:
            if not await pipe.wait_put(chunk):
                return
    except Exception as error:  # noqa: BLE001 - carried to the reading thread
        pipe.finish(error)
    else:
        pipe.finish()


async def iterate(produce: Callable[[BinaryIO], object]) -> AsyncGenerator[bytes, None]:
    """Run *produce* in a thread, on a file whose writes are yielded here.

    Raises: what *produce* raises, behind the bytes it wrote before.
    Cancel: ``write`` raises BrokenPipeError in the thread, and its end is waited for.
    """
    pipe = _Pipe(asyncio.get_running_loop())

    def work() -> None:
        try:
            with io.BufferedWriter(_Writer(pipe), _WRITE_BUFFER) as writer:
                produce(cast("BinaryIO", writer))
        finally:
            pipe.finish()

    working = offload.start_disposable(work)
    try:
        while chunk := await pipe.wait_get():
            yield chunk
        await asyncio.shield(working)
    finally:
        pipe.abort()
        await _wait_ended(working)


async def _wait_ended(working: asyncio.Future[T]) -> None:
    """Wait for a thread whose result nobody wants any more."""
    if not working.done():
        await asyncio.wait({working})
    working.exception()


class _Pipe:
    """Bounded bytes with one side on the loop and one in a thread.

    ``_condition`` guards all fields and wakes the thread; ``_event`` wakes the loop.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._event = asyncio.Event()
        self._condition = threading.Condition()
        self._chunks: deque[bytes] = deque()
        self._size = 0
        self._finished = False
        self._aborted = False
        self._error: Exception | None = None

    def finish(self, error: Exception | None = None) -> None:
        """Say that no more is written."""
        with self._condition:
            self._finished = True
            self._error = self._error or error
            self._condition.notify()
        self._wake_loop()

    def abort(self) -> None:
        """Let the thread fail at its next read or write, wherever it is."""
        with self._condition:
            self._aborted = True
            self._condition.notify()

    def _wake_loop(self) -> None:
        if not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._event.set)

    async def wait_put(self, chunk: bytes) -> bool:
        """Add on the loop's side; False if nobody will read it."""
        while True:
            with self._condition:
                if self._aborted:
                    return False
                if self._size < LIMIT:
                    self._chunks.append(chunk)
                    self._size += len(chunk)
                    self._condition.notify()
                    return True
                self._event.clear()
            await self._event.wait()

    def get(self) -> bytes:
        """Take in the thread; empty at the end."""
        with self._condition:
            while not self._chunks and not self._finished and not self._aborted:
                self._condition.wait()
            if self._aborted:
                raise ConnectionAbortedError("the stream was given up")
            if not self._chunks:
                if self._error is not None:
                    raise self._error
                return b""
            chunk = self._chunks.popleft()
            was_full = self._size >= LIMIT
            self._size -= len(chunk)
        if was_full:
            self._wake_loop()
        return chunk

    def put(self, chunk: bytes) -> None:
        """Add in the thread."""
        with self._condition:
            while self._size >= LIMIT and not self._aborted:
                self._condition.wait()
            if self._aborted:
                raise BrokenPipeError("the reader has gone")
            was_empty = not self._chunks
            self._chunks.append(chunk)
            self._size += len(chunk)
        if was_empty:
            self._wake_loop()

    async def wait_get(self) -> bytes:
        """Take all that waits on the loop's side; empty at the end."""
        while True:
            with self._condition:
                if self._chunks:
                    taken = b"".join(self._chunks)
                    self._chunks.clear()
                    self._size = 0
                    self._condition.notify()
                    return taken
                if self._finished:
                    return b""
                self._event.clear()
            await self._event.wait()


class _Reader(io.RawIOBase):
    def __init__(self, pipe: _Pipe) -> None:
        self._pipe = pipe
        self._rest = memoryview(b"")

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: WriteableBuffer) -> int:
        if not self._rest:
            self._rest = memoryview(self._pipe.get())
        target = memoryview(buffer).cast("B")
        size = min(len(target), len(self._rest))
        target[:size] = self._rest[:size]
        self._rest = self._rest[size:]
        return size


class _Writer(io.RawIOBase):
    def __init__(self, pipe: _Pipe) -> None:
        self._pipe = pipe

    def writable(self) -> bool:
        return True

    def write(self, data: ReadableBuffer) -> int:
        chunk = bytes(data)
        if chunk:
            self._pipe.put(chunk)
        return len(chunk)
