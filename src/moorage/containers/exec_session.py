"""A process executed in a running container: from ``exec create`` until its container ends."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING

from moorage.spec.engine.exec import ExecConfig

if TYPE_CHECKING:
    from moorage.containers.container import Container
    from moorage.runtime.task import Task


@dataclass(slots=True, eq=False)
class ExecSession:
    """What is known of one exec; it lives in memory alone."""

    id: str
    container: Container
    config: ExecConfig
    task: Task | None = None
    started: bool = False
    running: bool = False
    exit_code: int | None = None  # None: not ended
    ended_at: float = 0.0  # monotonic seconds, 0 = not yet
    watcher: asyncio.Task[None] | None = None

    @property
    def pid(self) -> int:
        """The pid on the host, 0 before the start."""
        return self.task.pid if self.task else 0
