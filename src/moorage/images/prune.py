"""``image prune`` and the images' part of ``system df``."""

from __future__ import annotations

from typing import Final

from moorage.images import remove, selection, summary, usage
from moorage.images.image import Image
from moorage.images.operations import Parts
from moorage.lib.errors import Conflict, NotFound
from moorage.spec.engine.filters import Filters
from moorage.spec.engine.image import (
    ImageDeleteResponseItem,
    ImagesDiskUsage,
    ImageSummary,
)

_KNOWN: Final = ("dangling", "label", "label!", "until")


def prune(parts: Parts, filters: Filters) -> tuple[list[ImageDeleteResponseItem], int]:
    """Remove images that no container uses: unnamed ones, or with ``dangling=false`` all.

    Returns: what was done, and the bytes of the layers that went.
    Events: ``untag``, ``delete``, then ``prune``. Raises: InvalidParameter. Blocks.
    """
    filters.require_known(_KNOWN)
    dangling = filters.flag("dangling", default=True)
    until = selection.until(filters)
    sizes = {layer.chain_id: layer.size for layer in parts.layers.all()}
    found: list[ImageDeleteResponseItem] = []
    for image in sorted(parts.store.all(), key=lambda image: -image.created_ns):
        if _is_wanted(parts, image, filters, until):
            _prune_one(parts, image, dangling=dangling, found=found)
    parts.collect()
    gone = sum(sizes[chain] for chain in sizes if not parts.layers.has(chain))
    parts.events.publish("image", "prune", "", {"reclaimed": str(gone)})
    return found, gone


def _is_wanted(parts: Parts, image: Image, filters: Filters, until: int | None) -> bool:
    if parts.store.find(image.id) is None:
        return False  # went with a child
    nameless = not parts.store.references(image.id)
    if nameless and (
        parts.store.children(image.id) or image.manifest.digest in parts.store.variants()
    ):
        return False
    if until is not None and (not image.created_ns or image.created_ns > until):
        return False
    if not filters.labels(image.labels):
        return False
    unwanted = filters.get("label!")
    return not any(Filters({"label": [term]}).labels(image.labels) for term in unwanted)


def _prune_one(
    parts: Parts, image: Image, *, dangling: bool, found: list[ImageDeleteResponseItem]
) -> None:
    names = parts.store.references(image.id)
    if dangling and any(name.digest is None for name in names):
        return
    for ref in [str(name) for name in names] or [image.id]:
        try:
            found += remove.remove(parts, ref, force=False, prune=True)
        except (Conflict, NotFound):
            continue  # in use: it stays


def disk_usage(parts: Parts) -> ImagesDiskUsage:
    """Return the images' part of ``system df``."""
    items = summaries(parts)
    layers = parts.layers
    total = sum(layer.size for layer in layers.all())
    images = parts.store.all()
    used = [image for image in images if parts.users.using(image.id)]
    unused = total - usage.layers_size(used, layers)
    return ImagesDiskUsage(
        active_count=len(used),
        total_count=len(images),
        reclaimable=unused,
        total_size=total,
        items=list(items),
    )


def summaries(parts: Parts) -> list[ImageSummary]:
    """Return all images with their exact shared sizes and the number of their containers."""
    images = parts.store.all()
    sizes = usage.sizes(images, parts.layers)
    return [
        summary.of(
            image,
            parts.store.references(image.id),
            shared=sizes[image.id].shared,
            containers=len(parts.users.using(image.id)),
        )
        for image in images
        if parts.store.references(image.id) or not parts.store.children(image.id)
    ]
