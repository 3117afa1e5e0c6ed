"""Blobs by digest: manifests, configurations and compressed layers, byte for byte as they came.

A blob appears under its digest only when every byte has been hashed and agrees. It is never
changed afterwards. Uncompressed layers are not kept twice: a ``Source`` (the layer store) can
write their tar again, bit by bit, and answers for them here.
"""

from __future__ import annotations

import hashlib
import os
import threading
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO, Final, Protocol

from moorage.lib import atomicfile, clock, ids
from moorage.lib.errors import DataLoss, NotFound
from moorage.lib.failpoint import failpoint
from moorage.spec import digest as digests
from moorage.spec.digest import Digest
from moorage.spec.oci.descriptor import Descriptor
from moorage.storage.durability import Durability

MANIFEST_LIMIT: Final = 8 << 20  # bytes of a manifest, index or configuration; Docker takes 4 MiB
CHUNK: Final = 1 << 20
_STALE_NS: Final = 7 * 24 * 3600 * 1_000_000_000


class Source(Protocol):
    """Somebody who can write a blob anew instead of keeping it."""

    def size(self, digest: Digest) -> int | None:
        """Return the blob's size, or None if it is not ours."""

    def open(self, digest: Digest) -> BinaryIO:
        """Open the blob, verified while it is read (DataLoss at its end)."""


class ContentStore:
    """The blobs of one data-root.

    ::

        root/blobs/sha256/<hex>     complete, verified, read-only
        root/ingest/<key>           partial; <key> is the digest of the writer's ref; resumable

    The lock guards ``_writing``: one writer a ref. Renames make everything else atomic.
    """

    def __init__(self, root: Path, durability: Durability | None = None) -> None:
        self._blobs = root / "blobs"
        self._ingest = root / "ingest"
        self.durability = durability
        self._sources: list[Source] = []
        self._lock = threading.Lock()
        self._writing: set[str] = set()
        for directory in (self._blobs / "sha256", self._ingest):
            directory.mkdir(mode=0o700, parents=True, exist_ok=True)

    def add_source(self, source: Source) -> None:
        """Let *source* answer for blobs that are not kept as files."""
        self._sources.append(source)

    def path(self, digest: Digest) -> Path:
        """Return where the blob is or would be."""
        return self._blobs / digests.algorithm_of(digest) / digests.hex_of(digest)

    def has(self, digest: Digest) -> bool:
        """Whether the blob can be opened."""
        return self.is_file(digest) or self._source(digest) is not None

    def is_file(self, digest: Digest) -> bool:
        """Whether the blob is kept as a file of its own."""
        return os.path.lexists(self.path(digest))

    def size(self, digest: Digest) -> int:
        """Return the size in bytes. Raises: NotFound."""
        with suppress(FileNotFoundError):
            return self.path(digest).stat().st_size
        for source in self._sources:
            if (size := source.size(digest)) is not None:
                return size
        raise NotFound(f"content {digest} is not in the store")

    def open(self, digest: Digest) -> BinaryIO:
        """Open the blob for reading; the caller closes it. Raises: NotFound."""
        with suppress(FileNotFoundError):
            return self.path(digest).open("rb", buffering=0)
        source = self._source(digest)
        if source is None:
            raise NotFound(f"content {digest} is not in the store")
        return source.open(digest)

    def read(self, digest: Digest, *, limit: int = MANIFEST_LIMIT) -> bytes:
        """Return a small blob whole, verified. Raises: NotFound, DataLoss."""
        if (size := self.size(digest)) > limit:
            raise DataLoss(f"content {digest} has {size} bytes, more than the {limit} allowed here")
        with self.open(digest) as blob:
            data = blob.read()
        if hashlib.new(digests.algorithm_of(digest), data).hexdigest() != digests.hex_of(digest):
            raise DataLoss(
                f"content {digest} is damaged on disk", hint="moord --fsck finds and mends it"
            )
        return data

    def put(self, data: bytes, media_type: str) -> Descriptor:
        """Store a small blob whole; storing it again changes nothing."""
        digest = digests.of(data)
        target = self.path(digest)
        if not os.path.lexists(target):
            self._note(digest)
            atomicfile.write(target, data, mode=0o400, sync=False)
        return Descriptor(media_type=media_type, digest=digest, size=len(data))

    def writer(
        self,
        ref: str,
        *,
        expected: Digest | None = None,
        size: int | None = None,
        resume: bool = False,
    ) -> BlobWriter:
        """Begin a blob, or go on where an earlier writer of the same *ref* was closed.

        Two writers of one *ref* at a time are a programming error.
        """
        key = hashlib.sha256(ref.encode()).hexdigest()
        with self._lock:
            if key in self._writing:
                message = f"{ref} is being written already"
                raise RuntimeError(message)
            self._writing.add(key)
        try:
            return BlobWriter(self, self._ingest / key, expected, size, resume=resume)
        except BaseException:
            self._writer_closed(key)
            raise

    def temporary(self, *, expected: Digest | None = None, size: int | None = None) -> BlobWriter:
        """Begin a blob that nobody will resume."""
        return self.writer(f"temporary-{ids.token()}", expected=expected, size=size)

    def delete(self, digest: Digest) -> int:
        """Remove the blob's file; return the bytes freed, 0 if there was none."""
        path = self.path(digest)
        try:
            size = path.stat().st_size
            path.unlink()
        except FileNotFoundError:
            return 0
        if self.durability:
            self.durability.forget("blob", digest)
        return size

    def files(self) -> Iterator[Digest]:
        """Return the digests of all blobs kept as files."""
        for algorithm in self._blobs.iterdir():
            for entry in os.scandir(algorithm):
                digest = f"{algorithm.name}:{entry.name}"
                if digests.is_digest(digest):
                    yield Digest(digest)

    def verify(self, digest: Digest) -> bool:
        """Hash the whole blob file and compare. Raises: NotFound."""
        hasher = hashlib.new(digests.algorithm_of(digest))
        with self.open(digest) as blob:
            while chunk := blob.read(CHUNK):
                hasher.update(chunk)
        return hasher.hexdigest() == digests.hex_of(digest)

    def remove_leftovers(self) -> None:
        """At start: drop temporary files, and partial blobs nobody came back for within a week."""
        for directory in self._blobs.iterdir():
            for path in directory.glob(".*"):
                path.unlink(missing_ok=True)
        limit = clock.now_ns() - _STALE_NS
        for path in self._ingest.iterdir():
            if path.stat().st_mtime_ns < limit or path.name.startswith("."):
                path.unlink(missing_ok=True)

    def _source(self, digest: Digest) -> Source | None:
        return next((s for s in self._sources if s.size(digest) is not None), None)

    def _note(self, digest: Digest) -> None:
        if self.durability:
            self.durability.note("blob", digest)

    def _writer_closed(self, key: str) -> None:
        with self._lock:
            self._writing.discard(key)

    def _publish(self, partial: Path, digest: Digest) -> None:
        """Rename a verified *partial* to its final name."""
        target = self.path(digest)
        target.parent.mkdir(mode=0o700, exist_ok=True)
        self._note(digest)
        failpoint("content.before_publish")
        partial.rename(target)
        failpoint("content.after_publish")


class BlobWriter:
    """A blob on its way in, ended by ``commit``, ``abort`` or ``close`` (keeps it to resume).

    Not thread-safe, but any thread may call it; ``write`` hashes, so call it off the event loop.
    """

    def __init__(
        self,
        store: ContentStore,
        path: Path,
        expected: Digest | None,
        size: int | None,
        *,
        resume: bool,
    ) -> None:
        self._store = store
        self._path = path
        self._expected = expected
        self._size = size
        self._hasher = hashlib.new(digests.algorithm_of(expected) if expected else "sha256")
        flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW
        self._fd = os.open(path, flags if resume else flags | os.O_TRUNC, 0o600)
        self.offset = 0  # bytes written so far: where a resumed download goes on
        if resume:
            try:
                self._rehash()
            except OSError:
                os.close(self._fd)
                raise

    def _rehash(self) -> None:
        while chunk := os.pread(self._fd, CHUNK, self.offset):
            self._hasher.update(chunk)
            self.offset += len(chunk)
        if self._size is not None and self.offset > self._size:
            self.restart()
        os.lseek(self._fd, self.offset, os.SEEK_SET)

    def reader(self) -> int:
        """Return a descriptor that reads what is being written; the caller closes it."""
        return os.open(self._path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)

    def restart(self) -> None:
        """Throw away what was written (the server does not resume, or it was wrong)."""
        os.ftruncate(self._fd, 0)
        os.lseek(self._fd, 0, os.SEEK_SET)
        self._hasher = hashlib.new(self._hasher.name)
        self.offset = 0

    def write(self, data: bytes | memoryview) -> None:
        """Append *data*. Raises: DataLoss (more than the expected size), OSError (disk full)."""
        if self._size is not None and self.offset + len(data) > self._size:
            raise DataLoss(f"more than the expected {self._size} bytes of {self._expected or '?'}")
        view = memoryview(data)
        self._hasher.update(view)
        while view:
            written = os.write(self._fd, view)
            view = view[written:]
            self.offset += written

    @property
    def digest(self) -> Digest:
        """The digest of what has been written so far."""
        return Digest(f"{self._hasher.name}:{self._hasher.hexdigest()}")

    def commit(self, media_type: str = "") -> Descriptor:
        """Verify and publish the blob; it is in the store afterwards.

        Raises: DataLoss, if size or digest differ; the partial file is gone then.
        """
        digest = self.digest
        if self._size is not None and self.offset != self._size:
            self.abort()
            raise DataLoss(f"{self._expected or digest}: got {self.offset} of {self._size} bytes")
        if self._expected is not None and digest != self._expected:
            self.abort()
            raise DataLoss(f"digest mismatch: expected {self._expected}, got {digest}")
        os.fchmod(self._fd, 0o400)
        self._store._publish(self._path, digest)  # noqa: SLF001 - the store's other half
        self.close()
        return Descriptor(media_type=media_type, digest=digest, size=self.offset)

    def abort(self) -> None:
        """Throw the blob away; safe after any other ending."""
        if self._fd >= 0:
            with suppress(FileNotFoundError):
                self._path.unlink()
        self.close()

    def close(self) -> None:
        """Stop writing and keep what is there for a later ``writer(ref, resume=True)``."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1
            self._store._writer_closed(self._path.name)  # noqa: SLF001
