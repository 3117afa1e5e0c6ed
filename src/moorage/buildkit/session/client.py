"""A client's session as a build asks it: ``build.session.Client`` over gRPC."""

from __future__ import annotations

from contextlib import AsyncExitStack
from pathlib import Path
from typing import Final

from moorage.build.contextfiles import ContextFiles
from moorage.build.contexts import Contexts
from moorage.build.session import SECRET_LIMIT, Report
from moorage.buildkit.session import agent, contexts, filesync
from moorage.buildkit.session.links import Link
from moorage.buildkit.wire.session import (
    CredentialsRequest,
    CredentialsResponse,
    GetSecretRequest,
    GetSecretResponse,
)
from moorage.grpc.status import CallFailed, Code
from moorage.lib import clock
from moorage.lib.errors import InvalidParameter
from moorage.registry.credentials import ANONYMOUS, Credentials

_SECRET: Final = "/moby.buildkit.secrets.v1.Secrets/GetSecret"  # noqa: S105 - a path
_CREDENTIALS: Final = "/moby.filesync.v1.Auth/Credentials"
_HUB: Final = "registry-1.docker.io"  # by which clients know the credentials for docker.io
_REPORT_S: Final = 0.1  # between two reports of a transfer


class SessionClient:
    """One client for one build; ``close`` lets go of its agents."""

    def __init__(self, link: Link, store: Contexts, agents_root: Path) -> None:
        self._link = link
        self._contexts = store
        self._agents_root = agents_root
        self._undo = AsyncExitStack()
        self.directories: dict[str, str] = {}  # name of a context -> the client's name for it
        self.ignored: dict[str, tuple[str, ...]] = {}  # patterns by name of a context

    async def close(self) -> None:
        """Let go of the agents."""
        await self._undo.aclose()

    async def context(self, name: str, report: Report) -> ContextFiles | None:
        """Bring a directory of the client here."""
        directory = self.directories.get(name)
        if directory is None or not self._link.offers(filesync.PATH):
            return None
        meter = _Meter(report)
        files = await contexts.receive(
            self._contexts,
            self._link,
            directory,
            exclude=self.ignored.get(name, ()),
            arrived=meter.count,
        )
        meter.end()
        return files

    async def secret(self, name: str) -> bytes | None:
        """Ask for a secret. Raises: InvalidParameter (too large), CallFailed."""
        if not self._link.offers(_SECRET):
            return None
        try:
            found = await self._link.channel.unary(
                _SECRET, GetSecretRequest(id=name), GetSecretResponse
            )
        except CallFailed as failure:
            if failure.code in {Code.NOT_FOUND, Code.UNIMPLEMENTED}:
                return None
            raise
        if len(found.data) > SECRET_LIMIT:
            raise InvalidParameter(
                f"invalid secret size {len(found.data)}, the limit is {SECRET_LIMIT}"
            )
        return found.data

    async def agent(self, name: str) -> Path | None:
        """Make a socket that leads to an agent."""
        if not await agent.is_offered(self._link, name):
            return None
        relay = agent.relay(self._link, name, self._agents_root)
        return await self._undo.enter_async_context(relay)

    async def credentials(self, domain: str) -> Credentials:
        """Ask what to show to a registry; anonymous if the client has nothing."""
        if not self._link.offers(_CREDENTIALS):
            return ANONYMOUS
        host = _HUB if domain == "docker.io" else domain
        try:
            found = await self._link.channel.unary(
                _CREDENTIALS, CredentialsRequest(host=host), CredentialsResponse
            )
        except CallFailed as failure:
            if failure.code == Code.UNIMPLEMENTED:
                return ANONYMOUS
            raise
        if found.username:
            return Credentials(
                username=found.username, password=found.secret, server_address=domain
            )
        return Credentials(identity_token=found.secret, server_address=domain)


class _Meter:
    """Counts the bytes of a transfer and tells of them now and then."""

    def __init__(self, report: Report) -> None:
        self._report = report
        self._size = 0
        self._told_s = 0.0

    def count(self, size: int) -> None:
        self._size += size
        now = clock.monotonic()
        if now - self._told_s >= _REPORT_S:
            self._told_s = now
            self._report(self._size)

    def end(self) -> None:
        self._report(self._size)
