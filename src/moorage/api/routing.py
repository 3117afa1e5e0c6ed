"""Routes: declared beside their handlers, found by method and path."""

from __future__ import annotations

import importlib
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, TypeVar

from moorage.lib.errors import NotFound

Handler = TypeVar("Handler", bound=Callable[..., object])

# One module per tag of the document; each registers its routes when it is imported.
MODULES: Final = (
    "containers",
    "exec",
    "images",
    "distribution",
    "volumes",
    "networks",
    "build",
    "build_session",
    "buildkit",
    "system",
    "plugins",
    "swarm",
)

_PARAMETER: Final = re.compile(r"\{(\w+)(:path)?\}")


@dataclass(frozen=True, slots=True)
class Route:
    """One operation of the Engine API and the function that serves it."""

    method: str
    template: str  # "/containers/{id}/json"; "{name:path}" may hold slashes
    operation: str  # operationId in the document
    handler: Callable[..., object]

    @property
    def parameters(self) -> tuple[str, ...]:
        """Names of the path parameters."""
        return tuple(name for name, _ in _PARAMETER.findall(self.template))

    @property
    def document_path(self) -> str:
        """The path as the document writes it."""
        return self.template.replace(":path}", "}")


ROUTES: Final[list[Route]] = []


def route(method: str, template: str, operation: str) -> Callable[[Handler], Handler]:
    """Register the decorated function as the handler of *operation*.

    Its first parameter is named after a domain of the engine (``containers``) unless it is
    ``request``; the others are path parameters by name, ``query``, ``body`` and ``request``.
    """

    def register(handler: Handler) -> Handler:
        ROUTES.append(Route(method, template, operation, handler))
        return handler

    return register


def load() -> list[Route]:
    """Import every route module; return a route for every operation of the document."""
    for name in MODULES:
        importlib.import_module(f"moorage.api.{name}")
    importlib.import_module("moorage.api.not_implemented").register()
    return ROUTES


class Router:
    """Finds the route of a path: exact paths first, then templates in order of registration."""

    def __init__(self, routes: list[Route]) -> None:
        self._exact: dict[tuple[str, str], Route] = {}
        self._templates: dict[tuple[str, str], list[tuple[re.Pattern[str], Route]]] = {}
        for entry in routes:
            if "{" not in entry.template:
                self._exact.setdefault((entry.method, entry.template), entry)
                continue
            key = (entry.method, entry.template.split("/", 2)[1])
            self._templates.setdefault(key, []).append((_pattern(entry.template), entry))

    def find(self, method: str, path: str) -> tuple[Route, dict[str, str]]:
        """Return the route and its path parameters.

        HEAD is served by a HEAD route, else by the GET route without its body.
        Raises: NotFound, if no operation is there.
        """
        found = self._find(method, path)
        if found is None and method == "HEAD":
            found = self._find("GET", path)
        if found is None:
            raise NotFound("page not found")
        return found

    def _find(self, method: str, path: str) -> tuple[Route, dict[str, str]] | None:
        exact = self._exact.get((method, path))
        if exact is not None:
            return exact, {}
        for pattern, entry in self._templates.get((method, path.split("/", 2)[1]), ()):
            if match := pattern.match(path):
                return entry, match.groupdict()
        return None


def _pattern(template: str) -> re.Pattern[str]:
    """Compile ``/images/{name:path}/json`` to a pattern for the whole path."""
    text, position = "", 0
    for part in _PARAMETER.finditer(template):
        text += re.escape(template[position : part.start()])
        text += f"(?P<{part[1]}>{'.+' if part[2] else '[^/]+'})"
        position = part.end()
    return re.compile(text + re.escape(template[position:]) + r"\Z", re.DOTALL)
