"""What nothing refers to any more: decided purely, dropped under the lock of the leases."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence

from msgspec import Struct

from moorage.lib.failpoint import failpoint
from moorage.spec.digest import Digest
from moorage.storage.content import ContentStore
from moorage.storage.layers import LayerStore
from moorage.storage.leases import Leases


class Roots(Struct, frozen=True, kw_only=True):
    """What somebody wants to keep."""

    blobs: Collection[str]
    chains: Collection[str]  # a layer keeps those it stands on


class Dropped(Struct, frozen=True, kw_only=True):
    """What a collection removed."""

    layers: list[Digest]  # ChainIDs, those on top first
    layer_bytes: int
    blob_bytes: int


def unreachable_layers(
    parents: Mapping[Digest, Digest | None], kept: Collection[str]
) -> list[Digest]:
    """Return the layers that no kept one stands on, each before what it stands on (pure)."""
    reachable: set[str] = set()
    for chain_id in kept:
        current = Digest(chain_id) if chain_id in parents else None
        while current is not None and current not in reachable:
            reachable.add(current)
            current = parents.get(current)
    depth: dict[Digest, int] = {}
    for chain_id in parents:
        if chain_id not in reachable:
            depth[chain_id] = _depth(parents, chain_id)
    return sorted(depth, key=lambda chain_id: (-depth[chain_id], chain_id))


def _depth(parents: Mapping[Digest, Digest | None], chain_id: Digest) -> int:
    count = 0
    current = parents.get(chain_id)
    while current is not None:
        count += 1
        current = parents.get(current)
    return count


def collect(
    content: ContentStore, layers: LayerStore, leases: Leases, read_roots: Callable[[], Roots]
) -> Dropped:
    """Drop every blob and layer that neither a root nor a lease keeps. Blocks.

    The roots are read behind the list of blobs: what is stored and recorded meanwhile is in the
    roots or not in the list.
    """
    blob_bytes = layer_bytes = 0
    rubbish: list[str] = []
    with leases.lock:
        blobs = list(content.files())
        roots = read_roots()
        held = leases.held()
        kept = {*roots.chains, *held}
        kept |= {str(rw.parent) for rw in layers.writables() if rw.parent is not None}
        parents = {layer.chain_id: layer.parent for layer in layers.all()}
        dropped = unreachable_layers(parents, kept)
        for chain_id in dropped:
            size, names = layers.forget(chain_id)
            layer_bytes += size
            rubbish += names
        failpoint("garbage.after_layers")
        for digest in blobs:
            if digest not in roots.blobs and digest not in held:
                blob_bytes += content.delete(digest)
    failpoint("garbage.before_trees")
    remove_trees(layers, rubbish)
    return Dropped(layers=dropped, layer_bytes=layer_bytes, blob_bytes=blob_bytes)


def remove_trees(layers: LayerStore, names: Sequence[str]) -> None:
    """Remove the trees of forgotten layers."""
    for name in names:
        layers.driver.remove(name)
