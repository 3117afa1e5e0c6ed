"""What the operations on containers work with, and what they need of their neighbours."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from moorage.cdi.directories import Directories
    from moorage.containers.container import Container
    from moorage.containers.exec import Execs
    from moorage.containers.settings import ContainerSettings
    from moorage.containers.spec_from_config import HostFacts
    from moorage.containers.store import ContainerStore
    from moorage.containers.validate_resources import HostResources
    from moorage.images.operations import Parts as ImageParts
    from moorage.images.store import ImageStore
    from moorage.lib.tasks import Supervisor
    from moorage.networks.service import Networks
    from moorage.runtime.service import Runtime
    from moorage.storage.layers import LayerStore
    from moorage.volumes.service import Volumes


class Publisher(Protocol):
    """Where events go."""

    def publish(self, kind: str, action: str, actor_id: str, attributes: dict[str, str], /) -> None:
        """Announce one event; never blocks."""


@dataclass(slots=True)
class Parts:
    """The neighbours and the store, as one argument of every operation."""

    settings: ContainerSettings
    facts: HostFacts
    resources: HostResources
    store: ContainerStore
    runtime: Runtime
    layers: LayerStore
    images: ImageStore
    networks: Networks
    volumes: Volumes
    cdi: Directories  # of files that describe devices
    events: Publisher
    supervisor: Supervisor  # owner of what must go on when a client hangs up
    image_parts: ImageParts = field(init=False)  # for commit; made after the containers
    execs: Execs = field(init=False)
    on_unhealthy: Callable[[Container], None] = field(init=False)

    def directory(self, container_id: str) -> Path:
        """Return where the files of a container are kept (0710)."""
        return self.settings.data_root / "containers" / container_id

    def runtime_directory(self, container_id: str) -> Path:
        """Return where its mounts and sockets are kept; gone after a reboot."""
        return self.settings.exec_root / "containers" / container_id

    def announce(self, container: Container, action: str, **attributes: str) -> None:
        """Publish an event of *container* with Docker's attributes."""
        record = container.record
        base = dict(record.config.labels or {})
        if record.config.image:
            base["image"] = record.config.image
        self.events.publish(
            "container", action, record.id, {**base, "name": record.name, **attributes}
        )
