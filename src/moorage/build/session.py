"""What a client brings to a build beside its options: files, secrets, agents, credentials.

A session is made before the build and lives until its end, or for ten minutes without one. Its
id is a secret of the client. Secrets are in memory only, and appear nowhere else: their values are
no part of operations, keys, history or progress.
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Protocol

from moorage.build.contextfiles import ContextFiles
from moorage.build.ignore import Matcher
from moorage.lib import atomicfile, clock, offload
from moorage.lib.errors import NotFound
from moorage.registry.credentials import ANONYMOUS, Credentials, server_of

IDLE_S: Final = 600.0
SECRET_LIMIT: Final = 512 << 10  # bytes, as BuildKit

Report = Callable[[int], None]  # bytes that have come so far


class Update(Protocol):
    """A context that is being brought up to date (``contexts.Update``)."""

    async def finish(self, body: AsyncIterator[bytes]) -> ContextFiles:
        """Take the files that were missing."""
        ...

    def give_up(self) -> None:
        """They will not come. Blocking."""
        ...


class Client(Protocol):
    """A client that is asked for things when a step wants them, and has not sent them before."""

    async def context(self, name: str, report: Report) -> ContextFiles | None:
        """Return a directory of the client; None if it offers none of that name."""
        ...

    async def secret(self, name: str) -> bytes | None:
        """Return a secret."""
        ...

    async def agent(self, name: str) -> Path | None:
        """Return a socket that leads to an SSH agent, until the session is closed."""
        ...

    async def credentials(self, domain: str) -> Credentials:
        """Return what the client shows to a registry."""
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
    client: Client | None = None  # asked for what is not here
    _asking: dict[str, asyncio.Lock] = field(default_factory=dict)  # nothing is asked for twice

    async def context(self, name: str, report: Report) -> ContextFiles | None:
        """Return a context; *report* is told how far its coming is."""
        async with self._once(f"context {name}"):
            if name not in self.contexts and self.client is not None:
                found = await self.client.context(name, report)
                if found is not None:
                    self.contexts[name] = found
            return self.contexts.get(name)

    async def secret(self, name: str) -> bytes | None:
        """Return a secret."""
        async with self._once(f"secret {name}"):
            if name not in self.secrets and self.client is not None:
                found = await self.client.secret(name)
                if found is not None:
                    self.secrets[name] = found
            return self.secrets.get(name)

    async def agent(self, name: str) -> Path | None:
        """Return the socket of an SSH agent."""
        async with self._once(f"agent {name}"):
            if name not in self.agents and self.client is not None:
                found = await self.client.agent(name)
                if found is not None:
                    self.agents[name] = found
            return self.agents.get(name)

    async def credentials_for(self, domain: str) -> Credentials:
        """Return what to show to the registry *domain*; anonymous if nothing is known."""
        for server, entry in self.credentials.items():
            if server_of(server) == domain:
                return entry
        if self.client is None:
            return ANONYMOUS
        async with self._once(f"credentials {domain}"):
            if domain not in self.credentials:
                self.credentials[domain] = await self.client.credentials(domain)
            return self.credentials[domain]

    def _once(self, what: str) -> asyncio.Lock:
        return self._asking.setdefault(what, asyncio.Lock())

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
