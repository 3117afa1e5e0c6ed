"""Routes of the ``Plugin`` tag, for an engine that can have no managed plugin installed.

Plugins of Docker's older protocol (sockets in ``/run/docker/plugins``) need no installation and
are used where their name is given: ``volume create --driver``, ``network create --driver``.
Installing managed ones is not built: those operations answer 501.
"""

from __future__ import annotations

from typing import Final, NoReturn

from msgspec import Struct, field

from moorage.api.routing import route
from moorage.lib.errors import NotFound
from moorage.spec.engine.filters import Filters

_FILTERS: Final = ("capability", "enabled")


class PluginListQuery(Struct, frozen=True):
    """Parameters of ``PluginList``."""

    filters: Filters = field(default_factory=Filters)


@route("GET", "/plugins", "PluginList")
async def plugin_list(query: PluginListQuery) -> list[object]:
    """200, and always empty; 400 unknown filter."""
    query.filters.require_known(_FILTERS)
    return []


@route("GET", "/plugins/{name:path}/json", "PluginInspect")
async def plugin_inspect(name: str) -> NoReturn:
    """404: none can be installed."""
    _not_found(name)


@route("DELETE", "/plugins/{name:path}", "PluginDelete")
async def plugin_delete(name: str) -> NoReturn:
    """404: none can be installed."""
    _not_found(name)


@route("POST", "/plugins/{name:path}/enable", "PluginEnable")
async def plugin_enable(name: str) -> NoReturn:
    """404: none can be installed."""
    _not_found(name)


@route("POST", "/plugins/{name:path}/disable", "PluginDisable")
async def plugin_disable(name: str) -> NoReturn:
    """404: none can be installed."""
    _not_found(name)


def _not_found(name: str) -> NoReturn:
    raise NotFound(f'plugin "{name}" not found')
