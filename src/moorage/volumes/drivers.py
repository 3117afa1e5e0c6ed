"""Which driver serves a name: ``local``, which is always there, or a plugin."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Final, TypeVar

from moorage.lib.errors import DeadlineExceeded, MoorageError, NotFound, Unavailable
from moorage.plugins.protocol import PluginClient
from moorage.plugins.registry import Plugins
from moorage.volumes.driver import DriverVolume, VolumeDriver
from moorage.volumes.local import LocalDriver
from moorage.volumes.plugin import SUBSYSTEM, PluginDriver

T = TypeVar("T")
_IN_PASSING_S: Final = 5.0


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

    async def _driver(self, client: PluginClient) -> PluginDriver:
        if client not in self._connected:
            self._connected[client] = await PluginDriver.connect(client)
        return self._connected[client]

    async def find_volume(self, name: str) -> tuple[PluginDriver, DriverVolume] | None:
        """Return the volume *name* of any plugin, or None; a plugin that fails is passed over."""
        for client in (await self._plugins.all(SUBSYSTEM))[0]:
            with suppress(MoorageError):
                said = await self._ask(client, lambda driver: driver.get(name))
                return self._connected[client], said
        return None

    async def plugin_volumes(self) -> tuple[list[tuple[PluginDriver, DriverVolume]], list[str]]:
        """Return the volumes the plugins have, and warnings about plugins that fail."""
        clients, warnings = await self._plugins.all(SUBSYSTEM)
        found: list[tuple[PluginDriver, DriverVolume]] = []
        for client in clients:
            try:
                listed = await self._ask(client, lambda driver: driver.list())
            except MoorageError as error:
                warnings.append(f"volume driver {client.name}: {error}")
            else:
                found += [(self._connected[client], volume) for volume in listed]
        return found, warnings

    async def _ask(
        self, client: PluginClient, question: Callable[[PluginDriver], Awaitable[T]]
    ) -> T:
        """Ask a plugin about volumes that need not be its own, which must not hold others up.

        One that hangs or is gone is left out of such questions for a while.
        Raises: MoorageError.
        """
        try:
            async with asyncio.timeout(_IN_PASSING_S):
                return await question(await self._driver(client))
        except TimeoutError as error:
            self._plugins.shun(client.name)
            raise DeadlineExceeded(f"no answer in {_IN_PASSING_S:.0f} s") from error
        except Unavailable:
            self._plugins.shun(client.name)
            raise

    async def names(self) -> list[str]:
        """Return the names of all drivers, for ``info``."""
        clients, _ = await self._plugins.all(SUBSYSTEM)
        return sorted({self.local.name, *(client.name for client in clients)})
