"""What a client brings to a build beside its options: files, secrets, agents, credentials.

A session is made before the build and lives until its end, or for ten minutes without one. Its
id is a secret of the client. Secrets are in memory only, and appear nowhere else: their values are
no part of operations, keys, history or progress.
"""

from __future__ import annotations

import secrets
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Protocol

from moorage.build.contextfiles import ContextFiles
from moorage.build.ignore import Matcher
from moorage.lib import atomicfile, clock, offload
from moorage.lib.errors import NotFound
from moorage.registry.credentials import Credentials

IDLE_S: Final = 600.0
SECRET_LIMIT: Final = 512 << 10  # bytes, as BuildKit


class Update(Protocol):
    """A context that is being brought up to date (``contexts.Update``)."""

    async def finish(self, body: AsyncIterator[bytes]) -> ContextFiles:
        """Take the files that were missing."""
        ...

    def give_up(self) -> None:
        """They will not come. Blocking."""
        ...


@dataclass(slots=True)
class Session:
    """Everything of one client for one build."""

    id: str
    contexts: dict[str, ContextFiles] = field(default_factory=dict)
    secrets: dict[str, bytes] = field(default_factory=dict)
    agents: dict[str, Path] = field(default_factory=dict)  # ssh id -> socket that leads to it
    credentials: dict[str, Credentials] = field(default_factory=dict)  # by registry
    used: float = 0.0
    builds: int = 0  # running; a session with one does not expire
    dockerfile: bytes | None = None
    updates: dict[str, Update] = field(default_factory=dict)  # contexts on their way
    ignored: Matcher | None = None  # what .dockerignore leaves out of the main context
    outputs: dict[str, Path] = field(default_factory=dict)  # what the client fetches at the end

    @contextmanager
    def building(self) -> Iterator[None]:
        """Let the session live as long as a build does."""
        self.builds += 1
        try:
            yield
        finally:
            self.builds -= 1
            self.used = clock.monotonic()

    def close(self) -> None:
        """Forget everything. Blocking."""
        for files in self.contexts.values():
            files.leave()
        self.contexts.clear()
        for update in self.updates.values():
            update.give_up()
        self.updates.clear()
        self.secrets.clear()
        for path in self.outputs.values():
            atomicfile.remove_tree(path)
        self.outputs.clear()


class Sessions:
    """All sessions by id."""

    def __init__(self) -> None:
        self._sessions: dict[str, Session] = {}

    async def create(self) -> Session:
        """Begin a session; drop those that were forgotten."""
        await self._expire()
        session = Session(secrets.token_hex(16), used=clock.monotonic())
        self._sessions[session.id] = session
        return session

    def get(self, identity: str) -> Session:
        """Return a session. Raises: NotFound."""
        session = self._sessions.get(identity)
        if session is None:
            raise NotFound("no such build session", hint="it has ended, or was idle for too long")
        session.used = clock.monotonic()
        return session

    async def end(self, identity: str) -> None:
        """End a session; unknown is fine. Cancel: it still ends."""
        session = self._sessions.pop(identity, None)
        if session is not None:
            await offload.run("fs", session.close)

    async def _expire(self) -> None:
        limit = clock.monotonic() - IDLE_S
        idle = [s.id for s in self._sessions.values() if s.used < limit and not s.builds]
        for identity in idle:
            await self.end(identity)
