"""Layers compressed for a push: always to the same bytes, and remembered by their digest."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

from moorage.lib import offload
from moorage.spec import mediatype
from moorage.spec.digest import Digest
from moorage.spec.oci.descriptor import Descriptor
from moorage.storage.archive import chunks, compression

if TYPE_CHECKING:
    from moorage.storage.content import ContentStore
    from moorage.storage.leases import Lease
    from moorage.storage.metadata import Database

_MIGRATIONS: Final = (
    """
    CREATE TABLE compressed_layers (
        diff_id TEXT PRIMARY KEY, digest TEXT NOT NULL, size INTEGER NOT NULL
    ) WITHOUT ROWID
    """,
)


class CompressedLayers:
    """What layers are when compressed; the bytes themselves may be collected and made again."""

    def __init__(self, database: Database, content: ContentStore) -> None:
        database.migrate("compressed_layers", _MIGRATIONS)
        self._database = database
        self._content = content
        self._slots = asyncio.Semaphore(2)  # each takes a core

    def known(self, diff_id: Digest) -> Descriptor | None:
        """Return the descriptor of a layer that was compressed before."""
        row = self._database.one("SELECT * FROM compressed_layers WHERE diff_id = ?", diff_id)
        if row is None:
            return None
        return Descriptor(
            media_type=mediatype.OCI_LAYER_GZIP, digest=Digest(row["digest"]), size=row["size"]
        )

    async def make(self, diff_id: Digest, lease: Lease) -> Descriptor:
        """Compress the layer *diff_id* into the content store. Raises: NotFound, DataLoss."""
        async with self._slots:
            made = await offload.run_disposable(self._make, diff_id, lease)
        self._database.execute(
            "INSERT OR REPLACE INTO compressed_layers VALUES (?, ?, ?)",
            diff_id,
            made.digest,
            made.size,
        )
        return made

    def _make(self, diff_id: Digest, lease: Lease) -> Descriptor:
        writer = self._content.temporary()
        try:
            with self._content.open(diff_id) as tar:
                for piece in compression.gzip(chunks.of_file(tar)):
                    writer.write(piece)
            lease.add(writer.digest)
            return writer.commit(mediatype.OCI_LAYER_GZIP)
        finally:
            writer.abort()
