"""Operations of the document that are not built yet: 501, and what it means for the user."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, NoReturn

from moorage.api.routing import ROUTES, route
from moorage.lib.errors import NotImplemented_

# (method, path, operationId, what is missing); a domain that serves one of them takes its line out
NOT_IMPLEMENTED: Final = (
    ("POST", "/session", "Session", "the session protocol of BuildKit"),
    ("GET", "/images/{name:path}/attestations", "ImageAttestations", "reading attestations"),
    ("GET", "/plugins", "PluginList", "managed plugins"),
    ("GET", "/plugins/privileges", "GetPluginPrivileges", "managed plugins"),
    ("POST", "/plugins/pull", "PluginPull", "managed plugins"),
    ("GET", "/plugins/{name:path}/json", "PluginInspect", "managed plugins"),
    ("DELETE", "/plugins/{name:path}", "PluginDelete", "managed plugins"),
    ("POST", "/plugins/{name:path}/enable", "PluginEnable", "managed plugins"),
    ("POST", "/plugins/{name:path}/disable", "PluginDisable", "managed plugins"),
    ("POST", "/plugins/{name:path}/upgrade", "PluginUpgrade", "managed plugins"),
    ("POST", "/plugins/create", "PluginCreate", "managed plugins"),
    ("POST", "/plugins/{name:path}/push", "PluginPush", "managed plugins"),
    ("POST", "/plugins/{name:path}/set", "PluginSet", "managed plugins"),
)


def _missing(operation: str, what: str) -> Callable[..., NoReturn]:
    def handler(**_parameters: str) -> NoReturn:
        raise NotImplemented_(f"{operation}: {what} is not built yet")

    return handler


for _method, _path, _operation, _what in NOT_IMPLEMENTED:
    if all(entry.operation != _operation for entry in ROUTES):
        route(_method, _path, _operation)(_missing(_operation, _what))
