"""Which driver serves a name: ``local`` is always there."""

from __future__ import annotations

from moorage.lib.errors import NotFound
from moorage.volumes.driver import VolumeDriver
from moorage.volumes.local import LocalDriver


class Drivers:
    """The drivers by name."""

    def __init__(self, local: LocalDriver) -> None:
        self.local = local

    async def get(self, name: str) -> VolumeDriver:
        """Return the driver *name*. Raises: NotFound, with Docker's sentence."""
        if name in {"", self.local.name}:
            return self.local
        raise NotFound(f'error looking up volume plugin {name}: plugin "{name}" not found')

    def names(self) -> list[str]:
        """Return the drivers known now, for ``info``."""
        return [self.local.name]
