"""Which containers use an image: what images must know of containers, which stand above them."""

from __future__ import annotations

from moorage.containers.service import Containers
from moorage.images.image import ImageUse


class UsersOfImages:
    """Asks the containers (an ``images.image.ImageUsers``)."""

    def __init__(self, containers: Containers) -> None:
        self._containers = containers

    def using(self, image_id: str) -> list[ImageUse]:
        """Return the containers made from the image."""
        return [
            ImageUse(container.id, running=container.alive)
            for container in self._containers.parts.store.all()
            if container.record.image_id == image_id
        ]
