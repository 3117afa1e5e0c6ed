"""Which driver serves a name: ``local``, which is always there, or a plugin."""

from __future__ import annotations

from contextlib import suppress

from moorage.lib.errors import MoorageError, NotFound
from moorage.plugins.protocol import PluginClient
from moorage.plugins.registry import Plugins
from moorage.volumes.driver import DriverVolume, VolumeDriver
from moorage.volumes.local import LocalDriver
from moorage.volumes.plugin import SUBSYSTEM, PluginDriver


class Drivers:
    """The drivers by name."""

    def __init__(self, local: LocalDriver, plugins: Plugins) -> None:
        self.local = local
        self._plugins = plugins
        self._connected: dict[PluginClient, PluginDriver] = {}

    async def get(self, name: str) -> VolumeDriver:
        """Return the driver *name*.

        Raises: NotFound, with Docker's sentence; Unavailable, DeadlineExceeded.
        """
        if name in {"", self.local.name}:
            return self.local
        try:
            client = await self._plugins.get(name, SUBSYSTEM)
        except NotFound as error:
            raise NotFound(f"error looking up volume plugin {name}: {error.message}") from error
        return await self._driver(client)

    async def plugins(self) -> tuple[list[PluginDriver], list[str]]:
        """Return the drivers that are plugins, and warnings about those that do not answer."""
        clients, warnings = await self._plugins.all(SUBSYSTEM)
        return [await self._driver(client) for client in clients], warnings

    async def _driver(self, client: PluginClient) -> PluginDriver:
        if client not in self._connected:
            self._connected[client] = await PluginDriver.connect(client)
        return self._connected[client]

    async def find_volume(self, name: str) -> tuple[PluginDriver, DriverVolume] | None:
        """Return the volume *name* of any plugin, or None; a plugin that fails is passed over."""
        for driver in (await self.plugins())[0]:
            with suppress(MoorageError):
                return driver, await driver.get(name)
        return None

    async def plugin_volumes(self) -> tuple[list[tuple[PluginDriver, DriverVolume]], list[str]]:
        """Return the volumes the plugins have, and warnings about plugins that fail."""
        drivers, warnings = await self.plugins()
        found: list[tuple[PluginDriver, DriverVolume]] = []
        for driver in drivers:
            try:
                found += [(driver, volume) for volume in await driver.list()]
            except MoorageError as error:
                warnings.append(f"volume driver {driver.name}: {error}")
        return found, warnings

    async def names(self) -> list[str]:
        """Return the names of all drivers, for ``info``."""
        plugins, _ = await self.plugins()
        return sorted({self.local.name, *(driver.name for driver in plugins)})
