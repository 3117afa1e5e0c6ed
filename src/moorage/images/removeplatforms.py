"""``rmi --platform``: single platforms of an image go, its name and the others stay."""

from __future__ import annotations

from collections.abc import Sequence

from moorage.images import remove, variants
from moorage.images.image import Image
from moorage.images.operations import Parts
from moorage.images.variants import Variant
from moorage.lib.errors import NotFound
from moorage.spec import platforms
from moorage.spec.engine.image import ImageDeleteResponseItem as Item
from moorage.spec.oci.descriptor import Descriptor
from moorage.spec.platforms import Platform


def remove_platforms(
    parts: Parts, ref: str, wanted: Sequence[Platform], *, force: bool, prune: bool
) -> list[Item]:
    """Remove platforms of what *ref* names; with the last of them the name goes, too. Blocks.

    Names that stand for the same index lose them as well.
    Events: ``delete``, and those of ``remove``. Raises: NotFound, Conflict.
    """
    image = parts.store.resolve(ref)
    tag = parts.store.tag_called(ref)
    target = tag.target if tag is not None else image.manifest
    present = variants.of(parts.content, target)
    chosen = _choose(present, wanted, ref)
    gone = {variant.descriptor.digest for variant in chosen}
    left = [
        variant
        for variant in present
        if variant.descriptor.digest not in gone and variants.is_whole(parts.content, variant)
    ]
    if not left:
        return remove.remove(parts, ref, force=force, prune=prune)
    for variant in chosen:
        if (one := parts.store.find(variant.manifest.config.digest)) is not None:
            remove.require_unused(parts, one, force=force)
    if any(variant.manifest.config.digest == image.id for variant in chosen):
        _hand_over(parts, image, target, left)
    found = [_remove(parts, variant) for variant in chosen]
    parts.collect()
    return found


def _choose(present: Sequence[Variant], wanted: Sequence[Platform], ref: str) -> list[Variant]:
    chosen: list[Variant] = []
    for platform in wanted:
        fitting = [one for one in present if platforms.matches(platform, one.platform)]
        if not fitting:
            raise NotFound(
                f"image with reference {ref} was found but does not provide the specified"
                f" platform ({platform})"
            )
        chosen += [one for one in fitting if one not in chosen]
    return chosen


def _hand_over(parts: Parts, image: Image, target: Descriptor, left: Sequence[Variant]) -> None:
    """Let another platform go by the names that stand for the same index."""
    next_one = variants.suiting(left, parts.store.host) or left[0]
    other = variants.unpack_variant(parts, next_one)
    for name in parts.store.references(image.id):
        tag = parts.store.tag_of(name)
        if tag is not None and tag.target.digest == target.digest:
            parts.store.tag(other.id, name, target=tag.target)


def _remove(parts: Parts, variant: Variant) -> Item:
    """Forget a platform; without its manifest nothing keeps its blobs."""
    image_id = variant.manifest.config.digest
    image = parts.store.find(image_id)
    if image is not None and not parts.store.references(image_id):
        parts.announce("delete", image.id, image.id)
        parts.store.remove(image.id)
    parts.content.delete(variant.descriptor.digest)
    return Item(deleted=variant.descriptor.digest)
