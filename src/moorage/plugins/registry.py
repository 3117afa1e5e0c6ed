"""The plugins in use: found, activated once, asked for by what they implement."""

from __future__ import annotations

import asyncio
from typing import Final

from moorage.lib import clock, offload
from moorage.lib.errors import MoorageError, NotFound, Unavailable
from moorage.lib.httpclient import HttpClient
from moorage.lib.namedlock import NamedLocks
from moorage.plugins.discovery import Discovery, PluginAddress
from moorage.plugins.protocol import Activation, Nothing, PluginClient

ACTIVATE_TIMEOUT_S: Final = 30.0
_LISTING_TIMEOUT_S: Final = 2.0  # activation on the way to a list must not hold it up
_SHUNNED_S: Final = 30.0  # how long a plugin that failed in a listing is not asked again
_STARTING_S: Final = 0.25  # pause before a plugin whose socket refuses is tried again
_ATTEMPTS: Final = 8


class Plugins:
    """Plugins of the v1 protocol by name; one for the daemon."""

    def __init__(self, discovery: Discovery, *, user_agent: str) -> None:
        self._discovery = discovery
        self._client = HttpClient(user_agent=user_agent)
        self._active: dict[PluginAddress, tuple[PluginClient, frozenset[str]]] = {}
        self._shunned: dict[str, float] = {}  # until when (monotonic)
        self._locks = NamedLocks()

    async def close(self) -> None:
        """Close the connections."""
        await self._client.close()

    async def get(self, name: str, subsystem: str) -> PluginClient:
        """Return the plugin *name*, activated; it must implement *subsystem* (``VolumeDriver``).

        Raises: NotFound, Unavailable, DeadlineExceeded.
        """
        client, implements = await self._activate(name, ACTIVATE_TIMEOUT_S)
        if subsystem not in implements:
            raise NotFound(f'plugin "{name}" not found: it does not implement {subsystem}')
        return client

    async def all(self, subsystem: str) -> tuple[list[PluginClient], list[str]]:
        """Return every plugin that implements *subsystem*, and warnings about those that fail."""
        names = await offload.run("fs", self._discovery.names)
        async with asyncio.TaskGroup() as group:
            asked = [group.create_task(self._try(name)) for name in names]
        found = [task.result() for task in asked]
        return (
            [client for client, implements, _ in found if client and subsystem in implements],
            [warning for _, _, warning in found if warning],
        )

    def shun(self, name: str) -> None:
        """Leave a plugin that does not answer out of ``all`` for a while; ``get`` still asks it."""
        self._shunned[name] = clock.monotonic() + _SHUNNED_S

    async def _try(self, name: str) -> tuple[PluginClient | None, frozenset[str], str]:
        if self._shunned.get(name, 0.0) > clock.monotonic():
            return None, frozenset(), f"plugin {name} does not answer"
        try:
            async with asyncio.timeout(_LISTING_TIMEOUT_S):
                client, implements = await self._activate(name, _LISTING_TIMEOUT_S)
        except (MoorageError, TimeoutError) as error:
            self.shun(name)
            return None, frozenset(), str(error) or f"plugin {name} does not answer"
        return client, implements, ""

    async def _activate(self, name: str, timeout_s: float) -> tuple[PluginClient, frozenset[str]]:
        """Return the client and what it implements; asks the plugin the first time only."""
        async with self._locks.hold(name):
            address = await offload.run("fs", self._discovery.find, name)
            known = self._active.get(address)
            if known is None:
                client = PluginClient(self._client, address)
                known = client, await self._ask(client, timeout_s)
                self._active[address] = known
                self._shunned.pop(name, None)
            return known

    async def _ask(self, client: PluginClient, timeout_s: float) -> frozenset[str]:
        """Ask what the plugin implements; one that is just starting is given some time."""
        attempt = 0
        while True:
            attempt += 1
            try:
                answer = await client.call(
                    "Plugin.Activate", Nothing(), Activation, timeout_s=timeout_s
                )
            except Unavailable:
                if attempt >= _ATTEMPTS:
                    raise
                await asyncio.sleep(_STARTING_S)
            else:
                return frozenset(answer.implements)
