"""Streams of bytes: taken in exact amounts, read ahead by a thread, shown as a file."""

from __future__ import annotations

import io
import queue
import threading
from collections.abc import Callable, Iterator
from typing import BinaryIO, Final

from moorage.lib import offload
from moorage.lib.errors import InvalidParameter

CHUNK: Final = 1 << 20
_QUEUE: Final = 6  # chunks read ahead


def of_file(file: BinaryIO, size: int = CHUNK) -> Iterator[bytes]:
    """Return the rest of *file* in chunks."""
    while chunk := file.read(size):
        yield chunk


class ChunkReader:
    """Bytes out of an iterator of chunks, in exact amounts and without copying payload."""

    __slots__ = ("_at", "_chunk", "_chunks", "position")

    def __init__(self, chunks: Iterator[bytes]) -> None:
        self._chunks = chunks
        self._chunk = b""
        self._at = 0
        self.position = 0  # bytes taken so far

    def take(self, count: int) -> bytes:
        """Return *count* bytes; fewer only at the end of the stream."""
        end = self._at + count
        if end <= len(self._chunk):
            found = self._chunk[self._at : end]
            self._at = end
            self.position += count
            return found
        parts: list[bytes] = []
        missing = count
        while missing:
            part = self._some(missing)
            if not part:
                break
            parts.append(bytes(part))
            missing -= len(part)
        return b"".join(parts)

    def forward(self, count: int, sink: Callable[[memoryview], object]) -> None:
        """Hand *count* bytes to *sink*, piece by piece.

        Raises: InvalidParameter, if the stream ends before.
        """
        while count:
            part = self._some(count)
            if not part:
                raise InvalidParameter("unexpected EOF: the archive is truncated")
            sink(part)
            count -= len(part)

    def skip(self, count: int) -> None:
        """Pass over *count* bytes. Raises: InvalidParameter, if the stream ends before."""
        self.forward(count, len)

    def rest(self) -> Iterator[memoryview]:
        """Return everything that is left."""
        while part := self._some(CHUNK):
            yield part

    def _some(self, limit: int) -> memoryview:
        """Return up to *limit* bytes, none at the end."""
        while self._at >= len(self._chunk):
            chunk = next(self._chunks, None)
            if chunk is None:
                return memoryview(b"")
            self._chunk, self._at = chunk, 0
        part = memoryview(self._chunk)[self._at : self._at + limit]
        self._at += len(part)
        self.position += len(part)
        return part


class ReadAhead:
    """Runs an iterator of chunks in a thread of its own, a few chunks ahead of its reader.

    Reading, decompressing and hashing release the interpreter, so they overlap with unpacking.
    Use it in a ``with`` block: leaving it stops the thread and waits for it.
    """

    def __init__(self, chunks: Iterator[bytes], *, depth: int = _QUEUE) -> None:
        self._source = chunks
        self._queue: queue.Queue[bytes | BaseException | None] = queue.Queue(depth)
        self._stopped = False
        self._thread = threading.Thread(target=self._run, name="moorage-read-ahead", daemon=True)

    def __enter__(self) -> Iterator[bytes]:
        """Start the thread; return the chunks."""
        offload.begin(self._thread)
        return self._chunks()

    def __exit__(self, *_: object) -> None:
        """Stop the thread, whatever it had still to read."""
        self._stopped = True
        while self._thread.is_alive():
            try:
                self._queue.get(timeout=0.05)
            except queue.Empty:
                continue
        self._thread.join()

    def _run(self) -> None:
        last: BaseException | None = None
        try:
            for chunk in self._source:
                if self._stopped:
                    return
                self._queue.put(chunk)
        except BaseException as error:  # noqa: BLE001 - carried to the reader
            last = error
        self._queue.put(last)

    def _chunks(self) -> Iterator[bytes]:
        while True:
            item = self._queue.get()
            if isinstance(item, bytes):
                yield item
            elif item is None:
                return
            else:
                raise item


class IteratorFile(io.RawIOBase):
    """An iterator of chunks as a readable file; closing it closes a generator."""

    def __init__(self, chunks: Iterator[bytes]) -> None:
        super().__init__()
        self._chunks = chunks
        self._left = memoryview(b"")

    def readable(self) -> bool:
        """Whether reading is allowed: yes."""
        return True

    def readinto(self, buffer: bytearray | memoryview) -> int:  # type: ignore[override]
        """Fill *buffer* from the next chunk."""
        if not self._left:
            self._left = memoryview(next(self._chunks, b""))
        count = min(len(buffer), len(self._left))
        buffer[:count] = self._left[:count]
        self._left = self._left[count:]
        return count

    def close(self) -> None:
        """End the iterator too."""
        closer = getattr(self._chunks, "close", None)
        if closer is not None:
            closer()
        super().close()


def as_file(chunks: Iterator[bytes]) -> BinaryIO:
    """Return *chunks* as a buffered file."""
    return io.BufferedReader(IteratorFile(chunks), CHUNK)
