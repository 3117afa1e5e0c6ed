"""What every operation on images works with."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol

from moorage.images import manifests
from moorage.images.image import ImageUsers, NoUsers
from moorage.images.store import ImageStore
from moorage.lib.tasks import Supervisor
from moorage.storage import garbage
from moorage.storage.content import ContentStore
from moorage.storage.durability import Durability
from moorage.storage.garbage import Dropped, Roots
from moorage.storage.layers import LayerStore
from moorage.storage.leases import Leases


class Publisher(Protocol):
    """Where events go; may be called from any thread."""

    def publish(self, kind: str, action: str, actor_id: str, attributes: dict[str, str], /) -> None:
        """Announce one event; never blocks."""


@dataclass(slots=True, kw_only=True)
class Parts:
    """The stores and neighbours, as one argument of every operation."""

    store: ImageStore
    content: ContentStore
    layers: LayerStore
    leases: Leases
    events: Publisher
    supervisor: Supervisor  # owner of what must go on when a client hangs up
    durability: Durability | None = None
    users: ImageUsers = field(default_factory=NoUsers)
    more_roots: list[Callable[[], Roots]] = field(default_factory=list)

    def announce(self, action: str, image_id: str, name: str = "") -> None:
        """Publish an event of an image with Docker's attributes."""
        image = self.store.find(image_id)
        attributes = dict(image.labels) if image else {}
        attributes["name"] = name or image_id
        self.events.publish("image", action, image_id, attributes)

    def collect(self) -> Dropped:
        """Drop what no image, name, container or lease keeps. Blocks."""
        return garbage.collect(self.content, self.layers, self.leases, self.roots)

    def roots(self) -> Roots:
        """Return what images and names keep."""
        blobs: set[str] = set()
        chains: set[str] = set()
        for image in (*self.store.all(), *self.store.hidden()):
            blobs |= {image.id, image.manifest.digest}
            blobs |= {layer.digest for layer in image.layers}
            if image.chain_id is not None:
                chains.add(image.chain_id)
        for target in {tag.target.digest: tag.target for tag in self.store.tags()}.values():
            blobs |= manifests.closure(self.content, target)
        for more in self.more_roots:
            extra = more()
            blobs |= set(extra.blobs)
            chains |= set(extra.chains)
        return Roots(blobs=blobs, chains=chains)
