"""The consistency check: finds what a crash, a power cut or a broken disk did, and mends it.

Every blob is hashed. Every layer is proved: by writing its archive again where it has a recipe,
else by comparing its files with the blob it came from. A damaged layer is unpacked again from a
good blob; what has no good copy left takes its images with it, so that pulling or loading them
again makes them whole.

It runs alone (``moord --fsck``), or while the daemon works (``live``). Then a lease keeps all that
is looked at, and no tree of a layer is removed, for a container or a build may stand on it: what
was replaced is rubbish, which goes when the daemon starts the next time.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager, ExitStack
from typing import BinaryIO

from msgspec import Struct

from moorage.images import manifests
from moorage.images.image import Image
from moorage.images.operations import Parts
from moorage.lib.errors import DataLoss, InvalidParameter, MoorageError, NotFound, System
from moorage.lib.failpoint import failpoint
from moorage.spec import digest as digests
from moorage.spec.digest import Digest
from moorage.storage import compare
from moorage.storage.archive import chunks as streams
from moorage.storage.archive import compression
from moorage.storage.layers import Layer

Tell = Callable[[str], None]


class Problem(Struct, kw_only=True, rename="pascal"):
    """One thing that was not as it should be."""

    kind: str  # "blob", "layer", "image" or "leftover"
    object: str  # digest, ChainID, image ID, or the driver's name
    message: str
    repaired: bool = False

    def __str__(self) -> str:
        """Return the problem as a sentence."""
        return f"{self.kind} {self.object} {self.message}"


class Findings(Struct, kw_only=True, rename="pascal"):
    """What was looked at and found."""

    checked: int = 0  # blobs, layers and images
    problems: list[Problem] = []

    def of(self, kind: str) -> list[Problem]:
        """Return the problems of one kind."""
        return [problem for problem in self.problems if problem.kind == kind]


def check(
    parts: Parts, tell: Tell, *, mend: bool = True, live: bool = False, only: Iterable[str] = ()
) -> Findings:
    """Check everything, or the blobs and layers *only*; mend unless told not to. Blocks for long.

    Unless *live* no container may run and no other operation may be under way.
    """
    with _everything_kept(parts) if live else ExitStack():
        checking = _Check(parts, tell, mend=mend, live=live, only=set(only))
        checking.run()
    if mend:
        parts.collect()
    return checking.found


def _everything_kept(parts: Parts) -> AbstractContextManager[object]:
    """Lease all there is; what comes later is not looked at."""
    lease = parts.leases.acquire("check")
    with parts.leases.lock:
        lease.add_all(parts.content.files())
        lease.add_all(layer.chain_id for layer in parts.layers.all())
    return lease


class _Check:
    """One run; its images, layers and blobs are those of the beginning."""

    def __init__(self, parts: Parts, tell: Tell, *, mend: bool, live: bool, only: set[str]) -> None:
        self._parts = parts
        self._tell = tell
        self._mend = mend
        self._live = live
        self._only = only
        self._blobs = list(parts.content.files())
        self._layers = _from_below(parts.layers.all())
        self._images = [*parts.store.all(), *parts.store.hidden()]
        self.found = Findings()

    def run(self) -> None:
        """Look at all, from the lowest up: an image is as good as its layers and blobs."""
        self._check_blobs()
        bad = self._check_layers()
        self._check_images({layer.chain_id for layer in bad})
        if self._mend:
            self._forget_layers(bad)
            if not self._live:
                self._remove_rubbish()

    def _report(self, kind: str, name: str, message: str) -> Problem:
        problem = Problem(kind=kind, object=name, message=message)
        self.found.problems.append(problem)
        self._tell(str(problem))
        return problem

    def _is_wanted(self, name: str) -> bool:
        wanted = not self._only or name in self._only
        self.found.checked += wanted
        return wanted

    # --- blobs ----------------------------------------------------------------------------------

    def _check_blobs(self) -> None:
        for digest in self._blobs:
            if not self._is_wanted(digest) or self._blob_is_good(digest):
                continue
            problem = self._report("blob", digest, "is damaged")
            if self._mend:
                self._parts.content.delete(digest)
                problem.repaired = True

    def _blob_is_good(self, digest: Digest) -> bool:
        try:
            return self._parts.content.verify(digest)
        except (OSError, NotFound):
            return False

    # --- layers ---------------------------------------------------------------------------------

    def _check_layers(self) -> list[Layer]:
        """Return the damaged layers that could not be mended."""
        bad: list[Layer] = []
        for layer in self._layers:
            if not self._is_wanted(layer.chain_id):
                continue
            why = self._layer_damage(layer)
            if why:
                problem = self._report("layer", layer.chain_id, f"is damaged: {why}")
                problem.repaired = self._mend and self._mend_layer(layer)
                if not problem.repaired:
                    bad.append(layer)
        return bad

    def _layer_damage(self, layer: Layer) -> str:
        """Return what is wrong with a layer, nothing if it is as its archive says."""
        layers = self._parts.layers
        if layer.parent is not None and not layers.has(layer.parent):
            return "the layer it stands on is missing"
        try:
            blob = self._blob_of(layer)
            if blob is None:
                return ""
            with self._parts.content.open(blob) as file:
                _, plain = compression.decompress(streams.of_file(file))
                proved = layer.has_recipe  # its archive was written from these very files
                return compare.differences(layers.driver, layer, plain, contents=not proved)
        except MoorageError as error:
            return error.message
        except OSError as error:
            return str(error)

    def _blob_of(self, layer: Layer) -> Digest | None:
        """Return a stored archive of the layer: the one written again, or a blob of an image."""
        if layer.has_recipe:
            return layer.diff_id
        return self._copy_of(layer)

    def _copy_of(self, layer: Layer) -> Digest | None:
        """Return a blob of the layer that does not depend on its files."""
        content = self._parts.content
        if content.is_file(layer.diff_id):
            return layer.diff_id
        for image in self._images:
            for diff_id, blob in zip(image.diff_ids, image.layers, strict=False):
                if diff_id == layer.diff_id and content.is_file(blob.digest):
                    return blob.digest
        return None

    def _mend_layer(self, layer: Layer) -> bool:
        """Unpack the layer again into its place, from a blob that is good."""
        layers = self._parts.layers
        blob = self._copy_of(layer)
        if blob is None or (layer.parent is not None and not layers.has(layer.parent)):
            return False
        try:
            with self._parts.content.open(blob) as file:
                source = _plain(file) if layer.has_recipe else file  # to have a recipe again
                layers.replace(layer, source, keep_old=self._live)
        except (MoorageError, OSError) as error:
            self._tell(f"layer {layer.chain_id} cannot be mended: {error}")
            return False
        failpoint("fsck.after_mend")
        self._tell(f"layer {layer.chain_id} was unpacked again")
        return True

    def _forget_layers(self, bad: list[Layer]) -> None:
        """Forget damaged layers that no container stands on, topmost first."""
        for layer in reversed(bad):
            try:
                _, trees = self._parts.layers.forget(layer.chain_id)
            except System:
                continue  # a container or a good layer stands on it
            for problem in self.found.of("layer"):
                problem.repaired = problem.repaired or problem.object == layer.chain_id
            for tree in trees if not self._live else ():
                self._parts.layers.driver.remove(tree)

    def _remove_rubbish(self) -> None:
        for name in self._parts.layers.rubbish():
            problem = self._report("leftover", name, "belongs to nothing")
            self._parts.layers.driver.remove(name)
            problem.repaired = True

    # --- images ---------------------------------------------------------------------------------

    def _check_images(self, bad_layers: set[Digest]) -> None:
        """Find images that lack something; without it they are forgotten, to be pulled again."""
        self.found.checked += len(self._images)
        for image in self._images:
            missing = self._missing(image, bad_layers)
            if not missing or self._is_gone(image):
                continue
            self._report("image", image.id, f"is incomplete: {missing}; pull or load it again")
            if self._mend and not self._parts.users.using(image.id):
                self._parts.store.remove(image.id)

    def _is_gone(self, image: Image) -> bool:
        """Whether somebody removed the image meanwhile."""
        return self._live and self._parts.store.find(image.id) is None

    def _missing(self, image: Image, bad_layers: set[Digest]) -> str:
        parts = self._parts
        for chain_id in image.chain:
            if chain_id in bad_layers or (
                not parts.layers.has(chain_id) and parts.store.find(image.id) is not None
            ):
                return f"layer {chain_id}"
        for digest in (image.id, image.manifest.digest, *(layer.digest for layer in image.layers)):
            if not parts.content.has(digest):
                return f"blob {digest}"
        try:
            manifests.read(parts.content, image.manifest)
            if digests.of(parts.content.read(image.id)) != image.id:
                return "its configuration"
        except (DataLoss, NotFound, InvalidParameter) as error:
            return error.message
        return ""


def _plain(file: BinaryIO) -> BinaryIO:
    return streams.as_file(compression.decompress(streams.of_file(file))[1])


def _from_below(layers: list[Layer]) -> list[Layer]:
    parents = {layer.chain_id: layer.parent for layer in layers}

    def depth(chain_id: Digest | None) -> int:
        return 0 if chain_id is None else 1 + depth(parents.get(chain_id))

    return sorted(layers, key=lambda layer: depth(layer.chain_id))
