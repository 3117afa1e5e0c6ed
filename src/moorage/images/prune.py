"""``image prune`` and the images' part of ``system df``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from moorage.images import remove, summary, usage
from moorage.images.image import Image
from moorage.images.operations import Parts
from moorage.lib import timestamps
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
    until = timestamps.until(filters.get("until"))
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
            found += remove.forget(parts, ref, force=False, prune=True)
        except (Conflict, NotFound):
            continue  # in use: it stays


def disk_usage(parts: Parts) -> ImagesDiskUsage:
    """Return the images' part of ``system df``."""
    images = parts.store.all()
    users = parts.users.count_by_image()
    used = [image for image in images if users[image.id]]
    total = usage.layers_size(images, parts.layers)  # those of the build cache alone are its own
    return ImagesDiskUsage(
        active_count=len(used),
        total_count=len(images),
        reclaimable=total - usage.layers_size(used, parts.layers),
        total_size=total,
        items=list(_summaries(parts, images, users)),
    )


def _summaries(
    parts: Parts, images: Sequence[Image], users: Mapping[str, int]
) -> list[ImageSummary]:
    """Return the images with their exact shared sizes and the number of their containers."""
    sizes = usage.sizes(images, parts.layers)
    return [
        summary.of(
            image,
            parts.store.references(image.id),
            shared=sizes[image.id].shared,
            containers=users.get(image.id, 0),
        )
        for image in images
        if parts.store.references(image.id) or not parts.store.children(image.id)
    ]
