"""A process executed in a running container: from ``exec create`` until its container ends."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import msgspec

from moorage.spec.engine.exec import ExecConfig

if TYPE_CHECKING:
    from moorage.containers.container import Container
    from moorage.runtime.task import Task


class ExecNote(msgspec.Struct, frozen=True, kw_only=True):
    """What a daemon finds of an exec that an earlier one began."""

    config: ExecConfig
    probe: bool


@dataclass(slots=True, eq=False)
class ExecSession:
    """What is known of one exec: in memory, and once it runs as a note beside its process."""

    id: str
    container: Container
    config: ExecConfig
    probe: bool = False  # a health check: nobody waits for it after a restart of the daemon
    task: Task | None = None
    started: bool = False
    running: bool = False
    exit_code: int | None = None  # None: not ended
    ended_at: float = 0.0  # monotonic seconds, 0 = not yet
    end_noted: asyncio.Event = field(default_factory=asyncio.Event)  # set with the exit code
    watcher: asyncio.Task[None] | None = None

    def note(self) -> str:
        """Return what a later daemon must know of it."""
        return msgspec.json.encode(ExecNote(config=self.config, probe=self.probe)).decode()

    @property
    def pid(self) -> int:
        """The pid on the host, 0 before the start."""
        return self.task.pid if self.task else 0
