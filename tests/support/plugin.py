"""A small plugin of Docker's v1 protocol, on a socket where daemons look for plugins."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from support.fakeplugin import FakePlugin

SOCKETS = Path("/run/docker/plugins")

Answer = Callable[[str, dict[str, Any]], dict[str, Any]]


class Plugin(FakePlugin):
    """Answers every call by *answer(method, request)*; remembers the calls. Use with ``with``."""

    def __init__(self, name: str, implements: list[str], answer: Answer) -> None:
        super().__init__(SOCKETS / f"{name}.sock", implements, {})
        self.name = name
        self._answer = answer

    def document(self, method: str, request: dict[str, Any]) -> dict[str, Any] | None:
        """Return what the test says, but for the activation."""
        return super().document(method, request) or self._answer(method, request)
