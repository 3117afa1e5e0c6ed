"""From a stream to an unpacked, verified layer that stands on nothing yet."""

from __future__ import annotations

import errno
import hashlib
import os
import secrets
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, Final

from msgspec import Struct

from moorage.lib.errors import DataLoss, InvalidParameter, System
from moorage.lib.failpoint import failpoint
from moorage.spec import mediatype
from moorage.spec.digest import Digest
from moorage.spec.oci.descriptor import Descriptor
from moorage.storage.archive import chunks as streams
from moorage.storage.archive import compression, extract, recipe
from moorage.storage.archive import reader as tar_reader
from moorage.storage.archive.options import ExtractOptions, Limits
from moorage.storage.archive.recipe import RecipeWriter, Shelter
from moorage.storage.content import ContentStore
from moorage.storage.snapshots.contract import SnapshotDriver
from moorage.storage.writable import opened

if TYPE_CHECKING:
    from moorage.storage.archive.extract import Extracted

RECIPE: Final = "recipe"
SHELTER: Final = "shelter"
_NAME_ALPHABET: Final = "abcdefghijklmnopqrstuvwxyz234567"
_NAME_LENGTH: Final = 8  # short: the names of all lower directories go into one page
_FULL: Final = frozenset({errno.ENOSPC, errno.EDQUOT})


class StagedLayer(Struct, kw_only=True):
    """A layer that was read and verified, but stands on nothing yet."""

    diff_id: Digest
    tar_size: int
    blob: Descriptor  # what came in, as it was compressed; its digest is *diff_id* if it was not
    name: str | None  # unpacked under this name of an isolated driver, else only the blob is there
    extracted: Extracted | None = None
    shelters: list[Shelter] = []


class Stager:
    """Reads archives into new trees of one driver."""

    def __init__(
        self, driver: SnapshotDriver, content: ContentStore, limits: Limits | None
    ) -> None:
        self._driver = driver
        self._content = content
        self._limits = limits

    def unpack(
        self,
        tar: BinaryIO,
        parents: Sequence[str],
        limits: Limits | None,
        *,
        keep: Callable[[Digest], None] | None,
    ) -> StagedLayer:
        """Unpack under a new name, hashing on the way; with *keep* a blob may be kept too."""
        kind, chunks = compression.peek(streams.of_file(tar))
        as_blob = kind in {"gzip", "zstd"} or not self._driver.isolated
        blob = self._content.temporary() if keep is not None and as_blob else None
        name = self.new_name()
        writer = None
        try:
            tree = self._driver.prepare(name, parents)
            if not as_blob:
                writer = RecipeWriter(tree.parent / RECIPE)
            source = _Source(chunks, kind, blob.write if blob is not None else None)
            shelters: list[Shelter] = []
            with streams.ReadAhead(source.chunks()) as ahead, opened(tree) as root:
                extracted = extract.extract(
                    root,
                    "",
                    ahead,
                    ExtractOptions(
                        whiteouts=self._driver.whiteouts, limits=limits or self._default_limits()
                    ),
                    recorder=writer,
                    shelter=_shelter(tree.parent, writer, shelters) if writer else None,
                )
            if writer is not None:
                writer.close()
                if shelters:
                    self._prove(tree, shelters, source.diff_id)
            failpoint("layers.after_unpack")
            descriptor = Descriptor(
                media_type=mediatype.OCI_LAYER, digest=source.diff_id, size=source.size
            )
            if blob is not None and keep is not None:
                keep(blob.digest)
                descriptor = blob.commit(_media_type(kind))
        except BaseException as error:
            if blob is not None:
                blob.abort()
            if writer is not None:
                writer.abort()
            self._driver.remove(name)
            if isinstance(error, OSError):
                raise _system(error) from error
            raise
        return StagedLayer(
            diff_id=source.diff_id,
            tar_size=source.size,
            blob=descriptor,
            name=name,
            extracted=extracted,
            shelters=shelters,
        )

    def take(self, tar: BinaryIO, tree: Path) -> StagedLayer:
        """Make *tree*, whose archive *tar* is, itself a layer: nothing is written again.

        For an isolated driver, whose writable layers look as its layers do. *tree* is moved away.
        """
        name = self.new_name()
        writer = None
        extracted = extract.Extracted(implied=[])
        try:
            target = self._driver.prepare(name, [])
            writer = RecipeWriter(target.parent / RECIPE)
            source = _Source(streams.of_file(tar), "none", None)
            with streams.ReadAhead(source.chunks()) as ahead:
                reader = tar_reader.TarReader(ahead, writer)
                for entry in reader:
                    extracted.entries += 1
                    extracted.bytes_total += entry.size
                    reader.content(_ignore, replayable=entry.sparse is None)
            writer.close()
            failpoint("layers.before_take")
            os.rename(tree, target)
        except BaseException as error:
            if writer is not None:
                writer.abort()
            self._driver.remove(name)
            if isinstance(error, OSError):
                raise _system(error) from error
            raise
        blob = Descriptor(media_type=mediatype.OCI_LAYER, digest=source.diff_id, size=source.size)
        return StagedLayer(
            diff_id=source.diff_id,
            tar_size=source.size,
            blob=blob,
            name=name,
            extracted=extracted,
        )

    def spool(self, tar: BinaryIO, keep: Callable[[Digest], None]) -> StagedLayer:
        """Keep the archive whole, for a driver that cannot unpack it without its parents."""
        kind, chunks = compression.peek(streams.of_file(tar))
        blob = self._content.temporary()
        try:
            source = _Source(chunks, kind, blob.write)
            for _ in source.chunks():
                pass
            keep(blob.digest)
            descriptor = blob.commit(_media_type(kind))
        except BaseException as error:
            blob.abort()
            if isinstance(error, OSError):
                raise _system(error) from error
            raise
        return StagedLayer(diff_id=source.diff_id, tar_size=source.size, blob=descriptor, name=None)

    def keep_archive(self, staged: StagedLayer, keep: Callable[[Digest], None]) -> None:
        """Keep a staged layer as a blob only (it is for another platform), which stays staged."""
        if staged.name is not None and not self._content.is_file(staged.blob.digest):
            tree = self._driver.tree(staged.name)
            writer = self._content.temporary(expected=staged.diff_id, size=staged.tar_size)
            try:
                for chunk in recipe.replay(
                    tree.parent / RECIPE, tree, staged.shelters, staged.diff_id
                ):
                    writer.write(chunk)
                keep(staged.diff_id)
                writer.commit(mediatype.OCI_LAYER)
            finally:
                writer.abort()

    def new_name(self) -> str:
        """Return a name that no layer has."""
        while True:
            name = "".join(secrets.choice(_NAME_ALPHABET) for _ in range(_NAME_LENGTH))
            if not self._driver.exists(name):
                return name

    def _default_limits(self) -> Limits:
        """An archive that cannot fit on the disk is refused before it fills it."""
        if self._limits is not None:
            return self._limits
        space = os.statvfs(self._driver.root)
        return Limits(bytes_total=space.f_bavail * space.f_frsize)

    @staticmethod
    def _prove(tree: Path, shelters: list[Shelter], diff_id: Digest) -> None:
        """An archive that replaces its own files is only taken if it can be written again."""
        try:
            for _ in recipe.replay(tree.parent / RECIPE, tree, shelters, diff_id):
                pass
        except DataLoss as error:
            raise InvalidParameter(
                "invalid archive: it replaces its own directories in a way that cannot be kept"
            ) from error


class _Source:
    """A stream on its way in: hashed as it is, decompressed, hashed again (in one thread)."""

    def __init__(
        self,
        chunks: Iterator[bytes],
        kind: compression.Kind,
        tee: Callable[[bytes], None] | None,
    ) -> None:
        self._chunks = chunks
        self._kind = kind
        self._tee = tee
        self._hasher = hashlib.sha256()
        self.size = 0

    def chunks(self) -> Iterator[bytes]:
        """Return the plain bytes."""
        plain = compression.plain(self._kind, self._kept())
        for chunk in plain:
            self._hasher.update(chunk)
            self.size += len(chunk)
            yield chunk
        for _ in self._chunks:  # what stands behind the compressed data belongs to the blob too
            pass

    def _kept(self) -> Iterator[bytes]:
        for chunk in self._chunks:
            if self._tee is not None:
                self._tee(chunk)
            yield chunk

    @property
    def diff_id(self) -> Digest:
        """The digest of the plain bytes, once all have been read."""
        return Digest("sha256:" + self._hasher.hexdigest())


def _shelter(
    base: Path, writer: RecipeWriter, shelters: list[Shelter]
) -> Callable[[int, str, str], None]:
    """Return what puts a replaced file aside instead of removing it."""

    def shelter(parent: int, last: str, name: str) -> None:
        directory = base / SHELTER
        directory.mkdir(mode=0o700, exist_ok=True)
        place = f"{SHELTER}/{len(shelters)}"
        os.rename(last, base / place, src_dir_fd=parent)
        shelters.append(Shelter(writer.contents, name, place))

    return shelter


def _media_type(kind: compression.Kind) -> str:
    return mediatype.layer(kind) if kind in {"gzip", "zstd"} else mediatype.OCI_LAYER


def _system(error: OSError) -> System:
    if error.errno in _FULL:
        return System(f"no space left on device: {error.filename or 'while unpacking a layer'}")
    return System(f"cannot unpack a layer: {error}")


def _ignore(_part: memoryview) -> None:
    """The digest has seen it, and the tree has it."""
