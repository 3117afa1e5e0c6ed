"""What an OCI runtime says it can do (``features`` of the runtime specification, 1.1)."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Sequence
from typing import Final

import msgspec

from moorage.kernel import spawn

_KEY: Final = "org.opencontainers.runtime-spec.features"  # as dockerd shows it
_TIMEOUT_S: Final = 5.0

Status = dict[str, str]


class Features:
    """Asks each program once, and again when it has been replaced."""

    def __init__(self) -> None:
        self._known: dict[tuple[str, int], Status | None] = {}
        self._asking = asyncio.Lock()

    async def status(self, program: str, arguments: Sequence[str] = ()) -> Status | None:
        """Return the features as one entry; None of a program that is missing or knows none."""
        path = spawn.find(program)
        if path is None:
            return None
        key = (path, os.stat(path).st_mtime_ns)
        async with self._asking:
            if key not in self._known:
                self._known[key] = await _ask([path, *arguments, "features"])
        return self._known[key]


async def _ask(command: Sequence[str]) -> Status | None:
    try:
        said = await spawn.run(command, timeout_s=_TIMEOUT_S)
        if said.code == 0:
            return {_KEY: msgspec.json.format(said.stdout, indent=-1).decode()}
    except (OSError, TimeoutError, msgspec.DecodeError):
        pass  # older runtimes have no such command
    return None
