"""Layers: tar archives unpacked once, verified, stacked, and shared by all images that name them.

Everything here blocks: call it off the event loop.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import BinaryIO

from msgspec import structs

from moorage.lib import clock
from moorage.lib.errors import DataLoss, NotFound, System
from moorage.lib.failpoint import failpoint
from moorage.spec import digest as digests
from moorage.spec.digest import Digest
from moorage.storage import stacking
from moorage.storage.archive import chunks as streams
from moorage.storage.archive import recipe
from moorage.storage.archive.options import Limits
from moorage.storage.content import ContentStore
from moorage.storage.durability import Durability
from moorage.storage.layerrecords import Layer, LayerRecords
from moorage.storage.metadata import Database
from moorage.storage.snapshots.contract import SnapshotDriver
from moorage.storage.staging import RECIPE, SHELTER, StagedLayer, Stager
from moorage.storage.writable import WritableLayers

__all__ = ["Layer", "LayerStore", "StagedLayer"]


class LayerStore(WritableLayers):
    """All layers of one driver.

    ::

        <driver root>/<name>/…         the driver's
        <driver root>/<name>/recipe    how to write the archive again (isolated drivers)
        <driver root>/<name>/shelter/  what later members of the archive replaced

    ``_lock`` guards the dictionaries; ``_changed`` on it tells of finished layers. A layer is
    in the table before anybody can see it, and out of it before its files go, so what the table
    does not know is rubbish.
    """

    def __init__(
        self,
        *,
        driver: SnapshotDriver,
        database: Database,
        content: ContentStore,
        durability: Durability | None = None,
        limits: Limits | None = None,
    ) -> None:
        self.driver = driver
        self._content = content
        self._durability = durability
        self._stager = Stager(driver, content, limits)
        self._records = LayerRecords(database, driver.name)
        self._lock = threading.RLock()
        self._changed = threading.Condition(self._lock)
        self._layers: dict[Digest, Layer] = {}
        self._by_diff: dict[Digest, Layer] = {}  # those whose archive can be written again
        self._working: set[Digest] = set()  # ChainIDs being unpacked
        self._writables = {}
        self._inits = {}
        self._users = {}
        self._mounting = {}

    def open(self) -> None:
        """Load the tables; remove what an interrupted daemon left half-made."""
        for layer in self._records.layers():
            if self.driver.exists(layer.name):
                self._remember(layer)
            else:
                self._records.delete_layer(layer.chain_id)
        self._writables = {layer.id: layer for layer in self._records.writables()}
        self._inits = self._records.inits()
        for name in self.rubbish():
            self.driver.remove(name)
        self._content.add_source(_Archives(self))

    # --- looking --------------------------------------------------------------------------------

    def find(self, chain_id: Digest) -> Layer | None:
        """Return the layer, None if it is not here."""
        return self._layers.get(chain_id)

    def get(self, chain_id: Digest) -> Layer:
        """Return the layer. Raises: NotFound."""
        layer = self._layers.get(chain_id)
        if layer is None:
            raise NotFound(f"layer does not exist: {chain_id}")
        return layer

    def has(self, chain_id: Digest) -> bool:
        """Whether the layer is unpacked here."""
        return chain_id in self._layers

    def all(self) -> list[Layer]:
        """Return all layers."""
        with self._lock:
            return list(self._layers.values())

    def chain(self, chain_id: Digest | None) -> list[Layer]:
        """Return the stack that *chain_id* names, topmost first. Raises: NotFound."""
        found: list[Layer] = []
        while chain_id is not None:
            layer = self.get(chain_id)
            found.append(layer)
            chain_id = layer.parent
        return found

    def stack(self, chain_id: Digest | None) -> list[str]:
        """Return the driver's names of a stack, topmost first. Raises: NotFound."""
        return [layer.name for layer in self.chain(chain_id)]

    # --- making ---------------------------------------------------------------------------------

    def apply(
        self,
        tar: BinaryIO,
        *,
        parent: Digest | None,
        diff_id: Digest | None = None,
        limits: Limits | None = None,
    ) -> Layer:
        """Unpack *tar*, compressed or not, on top of *parent*; verify it by *diff_id* if given.

        A layer that is there already is returned at once (*tar* is not read then). Two callers
        with the same layer: the second waits for the first.
        Raises: NotFound (parent), InvalidParameter (bad archive), DataLoss (wrong digest), System.
        """
        if diff_id is None:
            return self._apply(tar, parent, None, limits)
        chain_id = digests.chain_id(parent, diff_id)
        with self._alone(chain_id):
            existing = self._layers.get(chain_id)
            return existing or self._apply(tar, parent, diff_id, limits)

    def _apply(
        self, tar: BinaryIO, parent: Digest | None, diff_id: Digest | None, limits: Limits | None
    ) -> Layer:
        if self.driver.isolated:
            staged = self._stager.unpack(tar, [], limits, keep=None)
        else:
            staged = self._stager.unpack(tar, self.stack(parent), limits, keep=_unleased)
        try:
            _require_diff_id(staged, diff_id)
            return self._finish(staged, parent)
        except BaseException:
            self.discard(staged)
            raise

    def stage(
        self,
        tar: BinaryIO,
        *,
        keep: Callable[[Digest], None] | None = None,
        limits: Limits | None = None,
    ) -> StagedLayer:
        """Read and verify a layer whose place in a stack is not known yet; then ``adopt`` it.

        With *keep* a gzip or zstd archive goes to the content store as it came; *keep* is told its
        digest before anybody else can see it, to put it under a lease. Without it, and for an
        isolated driver, keeping the blob is the caller's to do.
        """
        if self.driver.isolated:
            return self._stager.unpack(tar, [], limits, keep=keep)
        return self._stager.spool(tar, keep or _unleased)

    def keep_archive(self, staged: StagedLayer, keep: Callable[[Digest], None]) -> None:
        """Keep a staged layer as a blob only (it is for another platform), and use it up."""
        self._stager.keep_archive(staged, keep)
        self.discard(staged)

    def adopt(self, staged: StagedLayer, parent: Digest | None) -> Layer:
        """Put *staged* on top of *parent*. It is used up, also after an error."""
        chain_id = digests.chain_id(parent, staged.diff_id)
        with self._alone(chain_id):
            existing = self._layers.get(chain_id)
            if existing is not None:
                return self._merge(existing, staged)
            if staged.name is None:
                with self._content.open(staged.blob.digest) as blob:
                    return self._apply(blob, parent, staged.diff_id, None)
            try:
                return self._finish(staged, parent)
            except BaseException:
                self.discard(staged)
                raise

    def settle_rw(self, container_id: str) -> Layer:
        """Make what the container changed a layer, as ``commit_rw``, but use its files up.

        It must be unmounted; what is left of the writable layer is only good to be removed.
        """
        if not self.driver.isolated:
            return self.commit_rw(container_id)
        record = self._get(container_id)
        with streams.as_file(self.diff(container_id)) as tar:
            staged = self._stager.take(tar, self.driver.tree(container_id))
        try:
            return self._finish(staged, record.parent)
        except BaseException:
            self.discard(staged)
            raise

    def discard(self, staged: StagedLayer) -> None:
        """Throw *staged* away; a blob it brought is left to the garbage collector."""
        if staged.name is not None and not self._is_known(staged.name):
            self.driver.remove(staged.name)
        staged.name = None

    def again(self, layer: Layer, parent: Digest | None) -> Layer:
        """Return the same change on top of another *parent*, unpacked anew from our own copy."""
        chain_id = digests.chain_id(parent, layer.diff_id)
        if (existing := self._layers.get(chain_id)) is not None:
            return existing
        with self._content.open(layer.diff_id) as tar:
            return self.apply(tar, parent=parent, diff_id=layer.diff_id)

    def _placed(self, staged: StagedLayer, parent: Digest | None) -> Layer:
        """Finish the tree of an unpacked layer for its place; return its record."""
        if staged.name is None or staged.extracted is None:
            message = "a staged layer was used twice"
            raise RuntimeError(message)
        below = self.stack(parent)
        tree = self.driver.tree(staged.name)
        trees = [self.driver.tree(name) for name in below]
        stacking.inherit(tree, trees, staged.extracted.implied)
        self.driver.commit(staged.name)
        return Layer(
            chain_id=digests.chain_id(parent, staged.diff_id),
            diff_id=staged.diff_id,
            parent=parent,
            name=staged.name,
            size=staged.extracted.bytes_total,
            tar_size=staged.tar_size,
            created_ns=clock.now_ns(),
            has_recipe=self.driver.isolated and (tree.parent / RECIPE).exists(),
            shelters=staged.shelters,
        )

    def _finish(self, staged: StagedLayer, parent: Digest | None) -> Layer:
        """Commit an unpacked layer to its place."""
        layer = self._placed(staged, parent)
        failpoint("layers.before_record")
        with self._lock:
            existing = self._layers.get(layer.chain_id)
            if existing is None:
                if parent is not None:
                    self.get(parent)  # it may have been collected meanwhile
                if self._durability:
                    self._durability.note("layer", layer.chain_id)
                self._records.save_layer(layer)
                self._remember(layer)
        failpoint("layers.after_record")
        return layer if existing is None else self._merge(existing, staged)

    def _merge(self, existing: Layer, staged: StagedLayer) -> Layer:
        """Use up *staged*, which is the layer *existing*; a recipe that one lacks is taken over.

        It came compressed then, and now without: both archives must stay to be had.
        """
        if staged.name is not None and self.driver.isolated and not existing.has_recipe:
            source = self.driver.tree(staged.name).parent
            target = self.driver.tree(existing.name).parent
            if (source / RECIPE).exists():
                if staged.shelters:
                    (source / SHELTER).rename(target / SHELTER)
                (source / RECIPE).rename(target / RECIPE)
                existing = structs.replace(existing, has_recipe=True, shelters=staged.shelters)
                with self._lock:
                    self._records.save_layer(existing)
                    self._remember(existing)
        self.discard(staged)
        return existing

    def remove(self, chain_id: Digest) -> int:
        """Remove a layer nothing stands on; return its size. Absent is fine: 0.

        Raises: System, if another layer or a container stands on it.
        """
        size, names = self.forget(chain_id)
        for name in names:
            self.driver.remove(name)
        return size

    def forget(self, chain_id: Digest) -> tuple[int, list[str]]:
        """Take a layer out of the table; return its size and the driver's names to remove then.

        Raises: System, if another layer or a container stands on it.
        """
        with self._lock:
            layer = self._layers.get(chain_id)
            if layer is None:
                return 0, []
            users: list[str] = [x.chain_id for x in self._layers.values() if x.parent == chain_id]
            users += [w.id for w in self._writables.values() if w.parent == chain_id]
            if users:
                raise System(f"layer {chain_id} is in use by {users[0]}")
            init = self._inits.pop(chain_id, None)
            self._records.delete_layer(chain_id)
            del self._layers[chain_id]
            if self._by_diff.get(layer.diff_id) is layer:
                del self._by_diff[layer.diff_id]
                for other in self._layers.values():
                    if other.diff_id == layer.diff_id and other.has_recipe:
                        self._by_diff[layer.diff_id] = other
        failpoint("layers.after_forget")
        if self._durability:
            self._durability.forget("layer", chain_id)
        return layer.size, [layer.name] if init is None else [init, layer.name]

    def replace(self, layer: Layer, tar: BinaryIO, *, keep_old: bool = False) -> None:
        """Unpack *layer* again from its archive, in place of a damaged tree; for the check only.

        With *keep_old* the damaged tree stays for those who have it mounted, until ``open``.
        Raises: as ``apply``.
        """
        below = [] if self.driver.isolated else self.stack(layer.parent)
        with self._alone(layer.chain_id):
            staged = self._stager.unpack(tar, below, None, keep=None)
            try:
                _require_diff_id(staged, layer.diff_id)
            except DataLoss:
                self.discard(staged)
                raise
            new = self._placed(staged, layer.parent)
            with self._lock:
                self._records.save_layer(new)
                self._remember(new)
        if not keep_old:
            self.driver.remove(layer.name)

    def rubbish(self) -> list[str]:
        """Return the driver's names that nothing knows."""
        with self._lock:
            known = {layer.name for layer in self._layers.values()}
            known |= set(self._writables) | set(self._inits.values())
            known |= {layer.init for layer in self._writables.values() if layer.init}
        return [name for name in self.driver.names() if name not in known]

    # --- the archive again ----------------------------------------------------------------------

    def by_diff_id(self, diff_id: Digest) -> Layer | None:
        """Return a layer with this change whose archive can be written again."""
        return self._by_diff.get(diff_id)

    def open_tar(self, layer: Layer) -> BinaryIO:
        """Open the uncompressed archive of a layer with a recipe."""
        tree = self.driver.tree(layer.name)
        return streams.as_file(
            recipe.replay(tree.parent / RECIPE, tree, layer.shelters, layer.diff_id)
        )

    # --- inside ---------------------------------------------------------------------------------

    def _remember(self, layer: Layer) -> None:
        self._layers[layer.chain_id] = layer
        if layer.has_recipe:
            self._by_diff[layer.diff_id] = layer

    def _new_name(self) -> str:
        return self._stager.new_name()

    def _is_known(self, name: str) -> bool:
        with self._lock:
            return any(layer.name == name for layer in self._layers.values())

    @contextmanager
    def _alone(self, chain_id: Digest) -> Iterator[None]:
        """Wait until nobody else makes *chain_id*."""
        with self._changed:
            while chain_id in self._working:
                self._changed.wait()
            self._working.add(chain_id)
        try:
            yield
        finally:
            with self._changed:
                self._working.discard(chain_id)
                self._changed.notify_all()


class _Archives:
    """The uncompressed archives of layers with a recipe, as the content store asks for them."""

    def __init__(self, layers: LayerStore) -> None:
        self._layers = layers

    def size(self, digest: Digest) -> int | None:
        layer = self._layers.by_diff_id(digest)
        return layer.tar_size if layer else None

    def open(self, digest: Digest) -> BinaryIO:
        layer = self._layers.by_diff_id(digest)
        if layer is None:
            raise NotFound(f"content {digest} is not in the store")
        return self._layers.open_tar(layer)


def _unleased(_digest: Digest) -> None:
    """The caller of ``apply`` has a lease on the layer; its blob goes by the layer's DiffID."""


def _require_diff_id(staged: StagedLayer, wanted: Digest | None) -> None:
    if wanted is not None and staged.diff_id != wanted:
        raise DataLoss(f"layer digest mismatch: expected {wanted}, got {staged.diff_id}")
