"""Operations of the document that have no route: 501, and what is missing."""

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
    return "not built yet"


def _missing(operation: str, path: str) -> Callable[..., NoReturn]:
    def handler(**_parameters: str) -> NoReturn:
        """501."""
        raise NotImplemented_(f"{operation}: {_reason(path)}")

    return handler


def missing() -> list[tuple[str, str, str]]:
    """Return the operations of the document that none of the route modules serves."""
    served = {entry.operation for entry in ROUTES if entry.handler.__module__ != __name__}
    return [entry for entry in OPERATIONS if entry[2] not in served]


def register() -> None:
    """Give each operation that has no route one that says so; call it last."""
    for method, path, operation in missing():
        if any(entry.operation == operation for entry in ROUTES):
            continue
        template = path.replace("{name}", "{name:path}") if path.startswith(_IMAGE_PATHS) else path
        route(method, template, operation)(_missing(operation, path))
