"""Blobs on their way from registries: verified while they come, resumed where they were cut.

Two pulls that want the same blob share one download. A reader (the unpacker) may follow the bytes
while they arrive; it is told at the end whether they were the right ones.

    network -> memory (at most a few MiB) -> hash -> content/ingest/<key> -> content/blobs/…
                                                       `-> Follower -> unpacking
"""

from __future__ import annotations

import asyncio
import io
import os
import threading
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Final

from moorage.lib import clock, offload
from moorage.lib.errors import Cancelled, DataLoss, MoorageError, System, Unavailable
from moorage.lib.failpoint import failpoint
from moorage.registry import failures
from moorage.registry.failures import RegistryRefusal
from moorage.registry.transport import backoff
from moorage.spec.oci.descriptor import Descriptor

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

    from moorage.lib.httpclient import Response
    from moorage.lib.tasks import Supervisor
    from moorage.registry.repository import Repository
    from moorage.spec.digest import Digest
    from moorage.storage.content import BlobWriter, ContentStore

SLOW_BYTES_PER_S: Final = 1024  # less than this for SLOW_AFTER_S is a server that stalls us
SLOW_AFTER_S: Final = 30.0

_WORTH: Final = 64 << 10  # bytes an attempt must bring not to count as a failure in a row


def partial_name(descriptor: Descriptor) -> str:
    """Return what the content store calls a blob that is on its way."""
    return f"blob {descriptor.digest}"


class Downloads:
    """All downloads of the daemon; *limit* says how many may run at once."""

    def __init__(
        self, content: ContentStore, owner: Supervisor, *, limit: int, attempts: int
    ) -> None:
        self._content = content
        self._owner = owner
        self._slots = asyncio.Semaphore(limit)
        self._attempts = attempts
        self._running: dict[Digest, Download] = {}

    def join(self, descriptor: Descriptor, sources: Sequence[Repository]) -> Download:
        """Return the download of a blob, begun now or by somebody else; ``leave`` it at the end."""
        running = self._running.get(descriptor.digest)
        if running is None or running.ended:
            running = Download(self._content, descriptor, sources, self._attempts, self._slots)
            self._running[descriptor.digest] = running
            running.start(self._owner, self._forget)
        running.users += 1
        return running

    async def discard(self, descriptor: Descriptor) -> None:
        """Throw away what has arrived of a blob that nobody is waiting for."""
        running = self._running.get(descriptor.digest)
        if running is not None:
            if running.users > 0:
                return
            await running.wait_ended()
            if self._running.get(descriptor.digest) not in {None, running}:
                return  # somebody wants it again
        await offload.run("fs", self._abort, descriptor)

    def _abort(self, descriptor: Descriptor) -> None:
        ref = partial_name(descriptor)
        self._content.writer(ref, expected=descriptor.digest, resume=True).abort()

    def _forget(self, download: Download) -> None:
        if self._running.get(download.descriptor.digest) is download:
            del self._running[download.descriptor.digest]


class Download:
    """One blob. ``wait`` for its end, ``follow`` its bytes, ``leave`` it."""

    def __init__(
        self,
        content: ContentStore,
        descriptor: Descriptor,
        sources: Sequence[Repository],
        attempts: int,
        slots: asyncio.Semaphore,
    ) -> None:
        self.descriptor = descriptor
        self.users = 0
        self.progress = Progress(descriptor.size)
        self._content = content
        self._sources = sources
        self._attempts = attempts
        self._slots = slots
        self._task: asyncio.Task[None] | None = None

    @property
    def ended(self) -> bool:
        """Whether there is nothing left to wait for."""
        return self._task is not None and (self._task.done() or self._task.cancelling() > 0)

    def start(self, owner: Supervisor, forget: Callable[[Download], None]) -> None:
        """Begin."""
        self._task = owner.start(self._run(), f"download {self.descriptor.digest}")
        self._task.add_done_callback(lambda _: forget(self))

    def leave(self) -> None:
        """Lose interest; the last to leave stops the download, which keeps what it has."""
        self.users -= 1
        if self.users > 0:
            return
        if self._task is not None and not self._task.done():
            self._task.cancel()
        self.progress.close()

    async def wait(self) -> None:
        """Wait until the blob is in the store. Raises: what made it fail."""
        assert self._task is not None  # noqa: S101 - started by Downloads
        await asyncio.shield(self._task)

    async def wait_ended(self) -> None:
        """Wait until it has ended, well or not."""
        if self._task is not None and not self._task.done():
            await asyncio.wait({self._task})

    async def _run(self) -> None:
        try:
            async with self._slots:
                await self._from_any_source()
        except BaseException as error:
            self.progress.fail(error)
            raise
        self.progress.succeed()

    async def _from_any_source(self) -> None:
        failure: MoorageError | None = None
        for source in self._sources:
            try:
                await self._from(source)
            except RegistryRefusal as refused:
                failure = failures.of_blob(refused, source.reference, self.descriptor)
            except DataLoss as error:
                failure = DataLoss(
                    f"filesystem layer verification failed for digest {self.descriptor.digest}:"
                    f" {error.message}",
                    hint=f"{source.reference.familiar} at {source.endpoint.host}",
                )
            except failures.Unreachable as error:
                failure = failure or error  # what a registry said says more
            except MoorageError as error:
                failure = error
            else:
                return
        raise failure or System(f"no source for {self.descriptor.digest}")

    async def _from(self, source: Repository) -> None:
        # one that nobody closes would keep all others from writing this blob
        writer = await offload.obtain("cpu", self._writer, lambda writer: writer.close())
        try:
            self.progress.begin(writer.reader(), writer.offset)
            await self._fetch_from(source, writer)
            self.progress.state = "Verifying Checksum"
            failpoint("images.download.before_commit")
            await offload.run_to_end("cpu", writer.commit, self.descriptor.media_type)
        except DataLoss:
            writer.abort()
            raise
        finally:
            if writer.offset == 0:
                writer.abort()  # nothing to go on from
            writer.close()

    def _writer(self) -> BlobWriter:
        """Go on with what is there, which is hashed anew and may take a while."""
        return self._content.writer(
            partial_name(self.descriptor),
            expected=self.descriptor.digest,
            size=self.descriptor.size,
            resume=True,
        )

    async def _fetch_from(self, source: Repository, writer: BlobWriter) -> None:
        """Fetch with as many attempts as are allowed; one that brought something does not count."""
        failed = 0
        while writer.offset < self.descriptor.size or not self.descriptor.size:
            before = writer.offset
            try:
                await self._receive(source, writer)
            except (OSError, Unavailable) as error:
                failed = 1 if writer.offset - before > _WORTH else failed + 1
                if failed >= self._attempts:
                    raise self._given_up(source, error) from error
                await source.pause(backoff(failed))
            else:
                if writer.offset >= self.descriptor.size:
                    return

    def _given_up(self, source: Repository, error: Exception) -> MoorageError:
        if isinstance(error, MoorageError):
            return error
        said = str(error) or "no answer in time"
        return Unavailable(
            f"download of {self.descriptor.digest} of {source.reference.familiar} from"
            f" {source.endpoint.host} failed: {said}",
            hint="what has arrived is kept; pull again to go on from there",
        )

    async def _receive(self, source: Repository, writer: BlobWriter) -> None:
        """Receive until the body ends. Raises: OSError (cut or too slow), DataLoss, System."""
        async with source.blob(self.descriptor.digest, offset=writer.offset) as (start, response):
            if start != writer.offset:
                self.progress.advance(start)
                await offload.run_to_end("cpu", writer.restart)
            self._check_length(source, start, response)
            self.progress.state = "Downloading"
            pace = _Pace()
            while data := await response.read_some():
                await offload.run_to_end("cpu", writer.write, data)
                self.progress.advance(writer.offset)
                pace.check(len(data))
            if writer.offset < self.descriptor.size:
                message = f"it ended after {writer.offset} of {self.descriptor.size} bytes"
                raise ConnectionError(message)

    def _check_length(self, source: Repository, start: int, response: Response) -> None:
        length = response.content_length
        if length is not None and start + length != self.descriptor.size:
            raise DataLoss(
                f"{self.descriptor.digest} of {source.reference.familiar}:"
                f" {source.endpoint.host} offers {start + length} bytes, the manifest says"
                f" {self.descriptor.size}"
            )


class _Pace:
    """Notices a server that drips."""

    def __init__(self) -> None:
        self._since = clock.monotonic()
        self._bytes = 0

    def check(self, received: int) -> None:
        """Count. Raises: TimeoutError."""
        self._bytes += received
        passed = clock.monotonic() - self._since
        if passed < SLOW_AFTER_S:
            return
        if self._bytes < SLOW_BYTES_PER_S * passed:
            message = f"only {self._bytes} bytes came in {passed:.0f} s"
            raise TimeoutError(message)
        self._since, self._bytes = clock.monotonic(), 0


class Progress:
    """What is known of a download, for watchers on the loop and followers in their threads.

    The condition guards all but ``state`` and ``begun``. Threads call ``read_at`` alone.
    """

    def __init__(self, total: int) -> None:
        self.total = total
        self.state = "Waiting"
        self.offset = 0
        self.begun = asyncio.Event()  # the first bytes are there, or it has ended
        self._done = False
        self._error: BaseException | None = None
        self._fd = -1  # reads what has been written
        self._changed = threading.Condition()

    def begin(self, fd: int, offset: int) -> None:
        """Take over the descriptor of the file that grows, which holds *offset* bytes already."""
        with self._changed:
            if self._fd >= 0:
                os.close(self._fd)
            self._fd = fd
            self.offset = offset
            self._changed.notify_all()
        if offset:
            self.begun.set()

    def advance(self, offset: int) -> None:
        """Note that the file holds *offset* bytes now (fewer, before a restart)."""
        with self._changed:
            self.offset = offset
            self._changed.notify_all()
        if offset:
            self.begun.set()

    def succeed(self) -> None:
        """Note the end: all bytes are there and right."""
        self.state = "Download complete"
        with self._changed:
            self._done = True
            self._changed.notify_all()
        self.begun.set()

    def fail(self, error: BaseException) -> None:
        """Note that the bytes will not come, or were wrong."""
        with self._changed:
            self._error = error
            self._changed.notify_all()
        self.begun.set()

    def close(self) -> None:
        """Close the file; a follower that still reads fails."""
        with self._changed:
            if self._fd >= 0:
                os.close(self._fd)
                self._fd = -1
            self._error = self._error or Cancelled("nobody wants the blob any more")
            self._changed.notify_all()
        self.begun.set()

    def read_at(self, position: int, size: int, stopped: Callable[[], bool]) -> bytes:
        """Return bytes from *position* on, waiting for them; empty at the end, once verified.

        Raises: DataLoss, if the download failed; Cancelled, once it is *stopped*.
        """
        while True:
            with self._changed:
                while not (self._error or self._done or self.offset > position or stopped()):
                    self._changed.wait()
                if stopped():
                    raise Cancelled("unpacking was stopped")
                if self._error is not None:
                    raise DataLoss(f"the download failed: {self._error}") from self._error
                wanted = min(size, self.offset - position)
                if wanted <= 0:
                    return b""
                # under the lock: nobody closes or shortens the file; it comes from the page cache
                if data := os.pread(self._fd, wanted, position):
                    return data

    def wake(self) -> None:
        """Let followers look whether they were stopped."""
        with self._changed:
            self._changed.notify_all()


class Follower(io.RawIOBase):
    """A blob's bytes as a file for the unpacker, at the pace they arrive; one thread reads it."""

    def __init__(self, progress: Progress) -> None:
        super().__init__()
        self._progress = progress
        self._stopped = False
        self.position = 0

    def readable(self) -> bool:
        """It is for reading."""
        return True

    def readinto(self, buffer: WriteableBuffer) -> int:
        """Fill *buffer* as far as bytes have arrived; 0 at the verified end."""
        view = memoryview(buffer).cast("B")
        data = self._progress.read_at(self.position, len(view), self._is_stopped)
        view[: len(data)] = data
        self.position += len(data)
        return len(data)

    def _is_stopped(self) -> bool:
        return self._stopped

    def stop(self) -> None:
        """Let the reading thread fail soon: its result is not wanted any more."""
        self._stopped = True
        self._progress.wake()
