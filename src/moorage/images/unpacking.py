"""The layers of one image on their way from registries into the layer store.

Layers are downloaded at the same time and, where the driver can, unpacked at the same time too,
each while it arrives; they are put upon one another in order.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, BinaryIO, Final, TypeVar, cast

from msgspec import Struct

from moorage.images.download import Download, Downloads, Follower
from moorage.images.progress import Line, Reporter
from moorage.lib import offload, tasks
from moorage.lib.errors import DataLoss, InvalidParameter, MoorageError
from moorage.lib.failpoint import failpoint
from moorage.spec.digest import Digest
from moorage.spec.oci.descriptor import Descriptor

if TYPE_CHECKING:
    from moorage.registry.repository import Repository
    from moorage.storage.content import ContentStore
    from moorage.storage.layers import LayerStore, StagedLayer
    from moorage.storage.leases import Lease

T = TypeVar("T")
_TICK_S: Final = 0.1
_DOWNLOADED: Final = ("Verifying Checksum", "Download complete")
_UNPACKING_AT_ONCE: Final = max(2, os.cpu_count() or 1)


class WantedLayer(Struct, frozen=True, kw_only=True):
    """One layer of a manifest with what the configuration says of it."""

    blob: Descriptor
    diff_id: Digest
    chain_id: Digest
    parent: Digest | None


class Unpacker:
    """Brings layers; one for the daemon. *downloads* are shared by all pulls."""

    def __init__(self, content: ContentStore, layers: LayerStore, downloads: Downloads) -> None:
        self._content = content
        self._layers = layers
        self._downloads = downloads
        self._slots = asyncio.Semaphore(_UNPACKING_AT_ONCE)

    async def bring(
        self,
        wanted: Sequence[WantedLayer],
        sources: Sequence[Repository],
        lease: Lease,
        reporter: Reporter,
        *,
        is_known: bool,
    ) -> None:
        """Make sure of all layers; *lease* keeps them until an image does.

        Where an image has them already (*is_known*) and none is missing, nothing is said.
        Cancel: downloads nobody else wants stop, and keep what they have.
        Raises: MoorageError.
        """
        for layer in wanted:
            lease.add(layer.blob.digest)
            lease.add(layer.chain_id)
        missing = [layer for layer in wanted if not self._has(layer)]
        if is_known and not missing:
            return
        for layer in wanted:
            there = layer not in missing
            line = reporter.line(layer.blob.digest)
            line.state("Already exists" if there else "Pulling fs layer")
        below = asyncio.get_running_loop().create_future()
        below.set_result(None)
        try:
            async with asyncio.TaskGroup() as group:
                for layer in missing:
                    line = reporter.line(layer.blob.digest)
                    job = _Job(self, layer, sources, line, below)
                    below = group.create_task(job.run())
        except ExceptionGroup as failed:
            raise tasks.foremost(failed) from failed

    def _has(self, layer: WantedLayer) -> bool:
        return self._layers.has(layer.chain_id) and self._content.has(layer.blob.digest)

    # -- for the jobs ----------------------------------------------------------------------------

    @property
    def content(self) -> ContentStore:
        """The blobs."""
        return self._content

    @property
    def layers(self) -> LayerStore:
        """The layers."""
        return self._layers

    @property
    def downloads(self) -> Downloads:
        """The downloads."""
        return self._downloads

    @property
    def slots(self) -> asyncio.Semaphore:
        """Held while unpacking."""
        return self._slots


class _Feed(Struct, frozen=True, kw_only=True):
    """Where a layer's bytes come from: a file of the store, or a download that is followed."""

    file: BinaryIO
    download: Download | None = None
    follower: Follower | None = None

    def stop(self) -> None:
        """Let the thread that reads it fail soon."""
        if self.follower is not None:
            self.follower.stop()


class _Job:
    """One layer from its download to its place in the stack; *below* ends when its parent is."""

    def __init__(
        self,
        unpacker: Unpacker,
        layer: WantedLayer,
        sources: Sequence[Repository],
        line: Line,
        below: asyncio.Future[None],
    ) -> None:
        self._unpacker = unpacker
        self._layer = layer
        self._sources = sources
        self._line = line
        self._below = below

    async def run(self) -> None:
        """Do it all."""
        if self._unpacker.content.is_file(self._layer.blob.digest):
            self._line.state("Download complete")
            with self._unpacker.content.open(self._layer.blob.digest) as blob:
                await self._unpack(_Feed(file=blob))
        else:
            download = self._unpacker.downloads.join(self._layer.blob, self._sources)
            try:
                follower = Follower(download.progress)
                feed = _Feed(file=cast("BinaryIO", follower), download=download, follower=follower)
                if not self._unpacker.layers.has(self._layer.chain_id):
                    await self._unpack_arriving(feed, download)
                await download.wait()  # a layer unpacked from elsewhere lacks only this blob
                self._line.passed(*_DOWNLOADED)
            finally:
                download.leave()
        failpoint("images.pull.after_layer")
        self._line.state("Pull complete")

    async def _unpack_arriving(self, feed: _Feed, download: Download) -> None:
        """Unpack what is not verified yet: a source that lies makes way for the next one."""
        try:
            await self._unpack(feed)
        except (InvalidParameter, DataLoss):
            await download.wait()
            with self._unpacker.content.open(self._layer.blob.digest) as blob:
                await self._unpack(_Feed(file=blob))

    async def _unpack(self, feed: _Feed) -> None:
        layers = self._unpacker.layers
        await self._wait_begun(feed)
        if not layers.driver.isolated:
            await asyncio.shield(self._below)
            async with self._unpacker.slots:
                await self._in_thread(feed, self._apply, lambda _: None)
            return
        async with self._unpacker.slots:
            staged = await self._in_thread(feed, self._stage, layers.discard)
        try:
            await asyncio.shield(self._below)
        except BaseException:
            await offload.run("fs", layers.discard, staged)
            raise
        await offload.run("fs", layers.adopt, staged, self._layer.parent)

    def _apply(self, file: BinaryIO) -> None:
        """Unpack upon the parent, for a driver whose layers are whole trees. Blocks."""
        layer = self._layer
        self._unpacker.layers.apply(file, parent=layer.parent, diff_id=layer.diff_id)

    def _stage(self, file: BinaryIO) -> StagedLayer:
        """Unpack and verify. Blocks."""
        layers = self._unpacker.layers
        staged = layers.stage(file)
        if staged.diff_id != self._layer.diff_id:
            layers.discard(staged)
            raise DataLoss(
                f"layer {self._layer.blob.digest} unpacks to {staged.diff_id},"
                f" the image says {self._layer.diff_id}"
            )
        return staged

    async def _wait_begun(self, feed: _Feed) -> None:
        """Take no slot for unpacking before there is something to unpack."""
        if feed.download is not None and not feed.download.progress.begun.is_set():
            self._line.state("Waiting")
            await feed.download.progress.begun.wait()

    async def _in_thread(
        self, feed: _Feed, work: Callable[[BinaryIO], T], discard: Callable[[T], None]
    ) -> T:
        """Run *work* in a thread, showing how far it is.

        Cancel: the thread is stopped and waited for; what it made is thrown away.
        """
        running = offload.start_disposable(work, feed.file)
        try:
            while not running.done():
                await asyncio.wait({running}, timeout=_TICK_S)
                self._show(feed)
            return await running
        except asyncio.CancelledError:
            feed.stop()
            await asyncio.wait({running})
            if running.exception() is None:
                await offload.run("fs", discard, running.result())
            raise
        except MoorageError:
            if feed.download is not None and feed.download.ended:
                await feed.download.wait()  # its own error says more than "it failed"
            raise

    def _show(self, feed: _Feed) -> None:
        total = self._layer.blob.size
        if feed.download is None or feed.follower is None:
            self._line.state("Extracting")
            return
        progress = feed.download.progress
        if progress.state == "Downloading":
            self._line.advance("Downloading", progress.offset, total)
        elif progress.state == "Download complete":
            self._line.passed(*_DOWNLOADED)
            self._line.advance("Extracting", feed.follower.position, total)
        else:
            self._line.state(progress.state)
