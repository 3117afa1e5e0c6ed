"""Who shares what: sizes of images, exact, without walking the disk."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from msgspec import Struct

from moorage.images.image import Image
from moorage.spec.digest import Digest
from moorage.storage.layers import LayerStore


class Sizes(Struct, frozen=True, kw_only=True):
    """Bytes of an image: all its layers, and those that other images have too."""

    total: int
    shared: int


def sizes(images: Iterable[Image], layers: LayerStore) -> dict[Digest, Sizes]:
    """Return the sizes of all *images*, by id."""
    images = list(images)
    users = Counter(chain_id for image in images for chain_id in set(image.chain))
    found: dict[Digest, Sizes] = {}
    for image in images:
        total = shared = 0
        for chain_id in set(image.chain):
            layer = layers.find(chain_id)
            size = layer.size if layer else 0
            total += size
            shared += size if users[chain_id] > 1 else 0
        found[image.id] = Sizes(total=total, shared=shared)
    return found


def layers_size(images: Iterable[Image], layers: LayerStore) -> int:
    """Return the bytes of all layers that *images* name, each once."""
    chains = {chain_id for image in images for chain_id in image.chain}
    return sum(layer.size for chain_id in chains if (layer := layers.find(chain_id)))
