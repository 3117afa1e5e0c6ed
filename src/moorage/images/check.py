"""The consistency check: finds what a crash, a power cut or a broken disk did, and mends it.

Every blob is hashed. Every layer is proved: by writing its archive again where it has a recipe,
else by comparing its files with the blob it came from. A damaged layer is unpacked again from a
good blob; what has no good copy left takes its images with it, so that pulling or loading them
again makes them whole.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from msgspec import Struct

from moorage.images import manifests
from moorage.images.image import Image
from moorage.images.operations import Parts
from moorage.lib.errors import DataLoss, InvalidParameter, MoorageError, NotFound
from moorage.lib.failpoint import failpoint
from moorage.spec import digest as digests
from moorage.spec.digest import Digest
from moorage.storage import compare
from moorage.storage.archive import chunks as streams
from moorage.storage.archive import compression
from moorage.storage.layers import Layer

Tell = Callable[[str], None]


class Findings(Struct, kw_only=True):
    """What was found and done."""

    bad_blobs: list[Digest] = []
    bad_layers: list[Digest] = []  # ChainIDs
    mended: list[Digest] = []  # ChainIDs
    lost_images: list[Digest] = []
    leftovers: int = 0

    @property
    def clean(self) -> bool:
        """Whether all was well."""
        return not (self.bad_blobs or self.bad_layers or self.lost_images or self.leftovers)


def check(parts: Parts, tell: Tell, *, mend: bool = True, only: Iterable[str] = ()) -> Findings:
    """Check everything, or the blobs and layers *only*; mend unless told not to. Blocks for long.

    No container may run and no other operation may be under way.
    """
    found = Findings()
    wanted = set(only)
    _check_blobs(parts, found, tell, wanted, mend=mend)
    _check_layers(parts, found, tell, wanted, mend=mend)
    _check_images(parts, found, tell, mend=mend)
    if mend:
        found.leftovers = _drop_unusable(parts, found)
        parts.collect()
    return found


def _check_blobs(
    parts: Parts, found: Findings, tell: Tell, wanted: set[str], *, mend: bool
) -> None:
    for digest in list(parts.content.files()):
        if (not wanted or digest in wanted) and not _blob_is_good(parts, digest):
            found.bad_blobs.append(digest)
            tell(f"blob {digest} is damaged")
            if mend:
                parts.content.delete(digest)


def _check_layers(
    parts: Parts, found: Findings, tell: Tell, wanted: set[str], *, mend: bool
) -> None:
    for layer in _from_below(parts.layers.all()):
        if wanted and layer.chain_id not in wanted:
            continue
        why = _layer_damage(parts, layer)
        if why:
            found.bad_layers.append(layer.chain_id)
            tell(f"layer {layer.chain_id} is damaged: {why}")
            if mend and _mend_layer(parts, layer, tell):
                found.mended.append(layer.chain_id)


def _check_images(parts: Parts, found: Findings, tell: Tell, *, mend: bool) -> None:
    for image in (*parts.store.all(), *parts.store.hidden()):
        missing = _missing(parts, image, set(found.bad_layers) - set(found.mended))
        if missing:
            found.lost_images.append(image.id)
            tell(f"image {image.id} is incomplete: {missing}; pull or load it again")
            if mend:
                _drop(parts, image)


def _blob_is_good(parts: Parts, digest: Digest) -> bool:
    try:
        return parts.content.verify(digest)
    except OSError:
        return False


def _from_below(layers: list[Layer]) -> list[Layer]:
    parents = {layer.chain_id: layer.parent for layer in layers}

    def depth(chain_id: Digest | None) -> int:
        return 0 if chain_id is None else 1 + depth(parents.get(chain_id))

    return sorted(layers, key=lambda layer: depth(layer.chain_id))


def _layer_damage(parts: Parts, layer: Layer) -> str:
    """Return what is wrong with a layer, nothing if it is as its archive says."""
    if layer.parent is not None and not parts.layers.has(layer.parent):
        return "the layer it stands on is missing"
    try:
        blob = _blob_of(parts, layer)
        if blob is None:
            return ""
        with parts.content.open(blob) as file:
            _, plain = compression.decompress(streams.of_file(file))
            proved = layer.has_recipe  # its archive was written from these very files
            return compare.differences(parts.layers.driver, layer, plain, contents=not proved)
    except (DataLoss, InvalidParameter) as error:
        return error.message
    except OSError as error:
        return str(error)


def _blob_of(parts: Parts, layer: Layer) -> Digest | None:
    """Return a stored archive of the layer: the one written again, or a blob of an image."""
    if layer.has_recipe or parts.content.is_file(layer.diff_id):
        return layer.diff_id
    for image in (*parts.store.all(), *parts.store.hidden()):
        for diff_id, blob in zip(image.diff_ids, image.layers, strict=False):
            if diff_id == layer.diff_id and parts.content.is_file(blob.digest):
                return blob.digest
    return None


def _mend_layer(parts: Parts, layer: Layer, tell: Tell) -> bool:
    """Unpack the layer again into its place, from a blob that is good."""
    blob = _blob_of(parts, layer) if not layer.has_recipe else None
    if blob is None or (layer.parent is not None and not parts.layers.has(layer.parent)):
        return False
    try:
        with parts.content.open(blob) as file:
            parts.layers.replace(layer, file)
    except (MoorageError, OSError) as error:
        tell(f"layer {layer.chain_id} cannot be mended: {error}")
        return False
    failpoint("fsck.after_mend")
    tell(f"layer {layer.chain_id} was unpacked again")
    return True


def _missing(parts: Parts, image: Image, bad_layers: set[Digest]) -> str:
    for chain_id in image.chain:
        if chain_id in bad_layers or (
            not parts.layers.has(chain_id) and parts.store.find(image.id) is not None
        ):
            return f"layer {chain_id}"
    for digest in (image.id, image.manifest.digest, *(layer.digest for layer in image.layers)):
        if not parts.content.has(digest):
            return f"blob {digest}"
    try:
        document = manifests.read(parts.content, image.manifest)
        if digests.of(parts.content.read(image.id)) != image.id or document is None:
            return "its configuration"
    except (DataLoss, NotFound, InvalidParameter) as error:
        return error.message
    return ""


def _drop(parts: Parts, image: Image) -> None:
    """Forget the image unless a container needs its layers, which may still do."""
    if not parts.users.using(image.id):
        parts.store.remove(image.id)


def _drop_unusable(parts: Parts, found: Findings) -> int:
    """Forget damaged layers that no container stands on, topmost first."""
    count = 0
    bad = set(found.bad_layers) - set(found.mended)
    used = {rw.parent for rw in parts.layers.writables()}
    for layer in reversed(_from_below(parts.layers.all())):
        if layer.chain_id in bad and layer.chain_id not in used:
            above = any(other.parent == layer.chain_id for other in parts.layers.all())
            if not above:
                parts.layers.remove(layer.chain_id)
                count += 1
    for name in parts.layers.rubbish():
        parts.layers.driver.remove(name)
        count += 1
    return count
