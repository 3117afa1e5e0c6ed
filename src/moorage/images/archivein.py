"""Reading an image archive from a stream, once: documents into memory, layers unpacked on the way.

docker-archive and OCI layouts put their tables anywhere, mostly behind the layers. So a layer is
recognised by its first bytes, read, verified and (where the storage driver can) unpacked before
anybody knows which image it is of.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterator
from typing import BinaryIO, Final, Self

from moorage.images.progress import Watch
from moorage.lib.errors import InvalidParameter
from moorage.spec.digest import Digest
from moorage.spec.oci.descriptor import Descriptor
from moorage.storage.archive import chunks as streams
from moorage.storage.archive import compression, header
from moorage.storage.archive.entry import HARD_LINK, REGULAR, SYMLINK, Entry, clean
from moorage.storage.archive.reader import TarReader
from moorage.storage.content import MANIFEST_LIMIT, ContentStore
from moorage.storage.layers import Layer, LayerStore, StagedLayer
from moorage.storage.leases import Lease

_ENTRIES_MAX: Final = 100_000
_DOCUMENTS_MAX: Final = 128 << 20  # bytes of all documents
_LINKS_MAX: Final = 8  # symbolic links after each other
_BY_DIGEST: Final = re.compile(r"(?:.*/)?([0-9a-f]{64})(?:\.tar|\.tar\.gz)?\Z")
_DIGEST: Final = re.compile(r"[0-9a-f]{64}")
_ZEROS: Final = bytes(header.BLOCK)


class LayerFile:
    """A layer of the archive, or one we had already; several images may use it."""

    def __init__(self, layers: LayerStore, content: ContentStore, blob: Descriptor) -> None:
        self._layers = layers
        self._content = content
        self.blob = blob
        self.staged: StagedLayer | None = None

    def place(self, parent: Digest | None, diff_id: Digest) -> Layer:
        """Put the layer on top of *parent*.

        Raises: InvalidParameter, if it is not the layer *diff_id*.
        """
        if self.staged is not None:
            if self.staged.diff_id != diff_id:
                raise InvalidParameter(
                    f'wrong diff id calculated on extraction "{self.staged.diff_id}",'
                    f" expected {diff_id}"
                )
            staged, self.staged = self.staged, None
            return self._layers.adopt(staged, parent)
        with self._content.open(self.blob.digest) as tar:
            return self._layers.apply(tar, parent=parent, diff_id=diff_id)

    def keep_archive(self, lease: Lease) -> None:
        """Keep it as a blob, for a platform that is not unpacked here."""
        if self.staged is not None:
            staged, self.staged = self.staged, None
            self._layers.keep_archive(staged, lease.add)

    def discard(self) -> None:
        """Throw away what was not placed."""
        if self.staged is not None:
            self._layers.discard(self.staged)
            self.staged = None


class Archive:
    """What was read. Use it in a ``with`` block: what was not placed is thrown away."""

    def __init__(
        self,
        layers: LayerStore,
        content: ContentStore,
        lease: Lease,
        watch: Watch | None = None,
    ) -> None:
        """*watch* is told of the advance of each layer."""
        self._layers = layers
        self._content = content
        self._lease = lease
        self._watch = watch
        self._links: dict[str, str] = {}
        self._size = 0
        self.documents: dict[str, bytes] = {}
        self.layer_files: dict[str, LayerFile] = {}

    def __enter__(self) -> Self:
        """Nothing to prepare."""
        return self

    def __exit__(self, *_: object) -> None:
        """Discard what is left."""
        for layer in self.layer_files.values():
            layer.discard()

    def read(self, file: BinaryIO) -> None:
        """Read all of *file*, compressed or not.

        Raises: InvalidParameter (no archive of images, or a hostile one), System (disk full).
        """
        _, plain = compression.decompress(streams.of_file(file))
        reader = TarReader(plain)
        for count, entry in enumerate(reader):
            if count >= _ENTRIES_MAX:
                raise InvalidParameter(f"the archive has more than {_ENTRIES_MAX} entries")
            name = clean(entry.name)
            if entry.kind == REGULAR and entry.sparse is None:
                self._file(name, entry, reader)
            elif entry.kind == SYMLINK:
                self._links[name] = clean(posixpath.join(posixpath.dirname(name), entry.link))
            elif entry.kind == HARD_LINK:
                self._links[name] = clean(entry.link)

    def _file(self, name: str, entry: Entry, reader: TarReader) -> None:
        known = self._known(name)
        if known is not None:
            self.layer_files[name] = known
            return  # the reader passes over it
        pieces = reader.pieces()
        head = next(pieces, b"")
        if _is_layer(head):
            tar = streams.as_file(self._watched(name, entry.size, _again(head, pieces)))
            staged = self._layers.stage(tar, keep=self._lease.add)
            layer = LayerFile(self._layers, self._content, staged.blob)
            layer.staged = staged
            self.layer_files[name] = layer
        elif entry.size <= MANIFEST_LIMIT:
            self._size += entry.size
            if self._size > _DOCUMENTS_MAX:
                raise InvalidParameter("the archive's documents are too large")
            self.documents[name] = b"".join([head, *pieces])

    def _watched(self, name: str, size: int, pieces: Iterator[bytes]) -> Iterator[bytes]:
        if self._watch is None:
            yield from pieces
            return
        by_digest = _DIGEST.search(name)
        shown = by_digest[0] if by_digest else posixpath.basename(name)
        done = 0
        for piece in pieces:
            done += len(piece)
            self._watch(shown, done, size)
            yield piece

    def _known(self, name: str) -> LayerFile | None:
        """Return the layer if the file's name is the digest of one that we have and trust."""
        found = _BY_DIGEST.match(name)
        if not found:
            return None
        digest = Digest(f"sha256:{found[1]}")
        self._lease.add(digest)
        layer = self._layers.by_diff_id(digest)
        if layer is not None:
            self._lease.add(layer.chain_id)
            return LayerFile(
                self._layers, self._content, Descriptor(digest=digest, size=layer.tar_size)
            )
        if not self._content.is_file(digest):
            return None
        with self._content.open(digest) as blob:
            if not _is_layer(blob.read(header.BLOCK)):
                return None
        size = self._content.size(digest)
        return LayerFile(self._layers, self._content, Descriptor(digest=digest, size=size))

    def document(self, name: str) -> bytes | None:
        """Return a document by its name, links followed."""
        return self.documents.get(self._target(name))

    def layer(self, name: str) -> LayerFile | None:
        """Return a layer by its name, links followed."""
        return self.layer_files.get(self._target(name))

    def blob(self, digest: Digest) -> bytes | None:
        """Return the document of an OCI layout with this digest."""
        algorithm, _, value = digest.partition(":")
        return self.document(f"blobs/{algorithm}/{value}")

    def blob_layer(self, digest: Digest) -> LayerFile | None:
        """Return the layer of an OCI layout with this digest."""
        algorithm, _, value = digest.partition(":")
        return self.layer(f"blobs/{algorithm}/{value}")

    def _target(self, name: str) -> str:
        name = clean(name)
        for _ in range(_LINKS_MAX):
            if name not in self._links:
                return name
            name = self._links[name]
        raise InvalidParameter(f"invalid archive: too many links at {name!r}")


def _is_layer(head: bytes) -> bool:
    """Whether a file that begins so is a tar, compressed or not."""
    if compression.detect(head[: compression.HEAD].ljust(compression.HEAD, b"\0")) != "none":
        return True
    block = head[: header.BLOCK]
    if len(block) < header.BLOCK:
        return False
    if block == _ZEROS:
        return True  # the empty archive
    try:
        header.parse(block)
    except InvalidParameter:
        return block[257:262] == b"ustar"
    return True


def _again(head: bytes, pieces: Iterator[bytes]) -> Iterator[bytes]:
    yield head
    yield from pieces
