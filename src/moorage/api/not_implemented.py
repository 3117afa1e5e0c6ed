"""Operations of the document that have no route: 501, and what is missing.

Imported last: an operation that a domain serves is in ``ROUTES`` already.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, NoReturn

from moorage.api.operations import OPERATIONS
from moorage.api.routing import ROUTES, route
from moorage.lib.errors import NotImplemented_

_IMAGE_PATHS: Final = ("/images/{name}", "/plugins/{name}", "/distribution/{name}")


def _reason(path: str) -> str:
    if path.startswith("/plugins"):
        return "managed plugins are not built yet"
    if path == "/session":
        return "the session protocol of BuildKit is not built yet; set DOCKER_BUILDKIT=0"
    return "not built yet"


def _missing(operation: str, path: str) -> Callable[..., NoReturn]:
    def handler(**_parameters: str) -> NoReturn:
        """501."""
        raise NotImplemented_(f"{operation}: {_reason(path)}")

    return handler


_served = {entry.operation for entry in ROUTES}
NOT_IMPLEMENTED: Final = tuple(entry for entry in OPERATIONS if entry[2] not in _served)

for _method, _path, _operation in NOT_IMPLEMENTED:
    _template = _path.replace("{name}", "{name:path}") if _path.startswith(_IMAGE_PATHS) else _path
    route(_method, _template, _operation)(_missing(_operation, _path))
