"""All domains as one object; the API's routes name the one they serve."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from moorage.build.streams import BuildStreams
    from moorage.buildkit.service import BuildKit
    from moorage.containers.service import Containers
    from moorage.engine.system import System
    from moorage.events.bus import Bus
    from moorage.images.service import Images
    from moorage.networks.service import Networks
    from moorage.registry.registries import Registries
    from moorage.volumes.service import Volumes


@dataclass(kw_only=True)
class Engine:
    """Holds the domains, nothing else."""

    events: Bus
    system: System
    containers: Containers
    images: Images
    networks: Networks
    volumes: Volumes
    registries: Registries
    make_build: Callable[[], BuildStreams]
    make_buildkit: Callable[[BuildStreams], BuildKit]

    @cached_property
    def build(self) -> BuildStreams:
        """The builder, made when it is first asked for."""
        return self.make_build()

    @cached_property
    def buildkit(self) -> BuildKit:
        """BuildKit's protocol before the builder, made when a client of it first comes."""
        return self.make_buildkit(self.build)
