"""The sessions of all clients, by the id that their solves name."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from msgspec import Struct

from moorage.buildkit.wire.session import HealthRequest, HealthResponse
from moorage.grpc.client import Channel
from moorage.grpc.connection import Connection, Duplex
from moorage.grpc.status import CallFailed
from moorage.lib.errors import InvalidParameter, NotFound
from moorage.lib.tasks import Supervisor

_HEADER: Final = "x-docker-expose-session-"
_HEALTH: Final = "/grpc.health.v1.Health/Check"
_HEALTH_S: Final = 0.5  # between two questions
_HEALTH_TIMEOUT_S: Final = 30.0  # a client under load may be slow
_WAIT_S: Final = 5.0  # a client opens its session beside its solve, not before it


class Announced(Struct, frozen=True, kw_only=True):
    """What a client says of its session before it is one."""

    id: str
    shared_key: str
    methods: frozenset[str]


@dataclass(frozen=True, slots=True)
class Link:
    """One client's session."""

    id: str
    shared_key: str  # the same for all builds of one directory of one client
    methods: frozenset[str]  # that it serves, in lower case: clients and daemons differ in it
    channel: Channel

    def offers(self, path: str) -> bool:
        """Say whether the client serves the method *path*."""
        return path.lower() in self.methods


class Links:
    """All sessions that are open now."""

    def __init__(self) -> None:
        self._links: dict[str, Link] = {}
        self._changed = asyncio.Condition()

    def announced(self, headers: Mapping[str, str]) -> Announced:
        """Check what the client says of itself before its connection is taken over.

        Raises: InvalidParameter.
        """
        identity = headers.get(f"{_HEADER}uuid", "")
        if not identity:
            raise InvalidParameter("the session has no id", hint=f"send {_HEADER.title()}Uuid")
        if identity in self._links:
            raise InvalidParameter(f"session {identity} already exists")
        methods = headers.get(f"{_HEADER}grpc-method", "").lower()
        return Announced(
            id=identity,
            shared_key=headers.get(f"{_HEADER}sharedkey", ""),
            methods=frozenset(method.strip() for method in methods.split(",")),
        )

    async def serve(self, duplex: Duplex, told: Announced) -> None:
        """Keep the session until its client goes. Cancel: it ends."""
        connection = Connection(duplex, client=True)
        link = Link(told.id, told.shared_key, told.methods, Channel(connection))
        supervisor = Supervisor("session")
        running = supervisor.start(connection.run(), link.id)
        async with self._changed:
            self._links[link.id] = link
            self._changed.notify_all()
        watching = supervisor.start(_watch(link), "health")
        try:
            await asyncio.wait({running, watching}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            self._links.pop(link.id, None)
            await supervisor.close()

    async def wait(self, identity: str) -> Link:
        """Return a session, which may be on its way. Raises: NotFound."""
        try:
            async with asyncio.timeout(_WAIT_S), self._changed:
                await self._changed.wait_for(lambda: identity in self._links)
                return self._links[identity]
        except TimeoutError:
            raise NotFound(f"no active session for {identity}") from None


async def _watch(link: Link) -> None:
    """Return when the client serves no more: old ones stop, and wait for the daemon to leave."""
    if not link.offers(_HEALTH):
        await asyncio.Event().wait()
    while True:
        await asyncio.sleep(_HEALTH_S)
        try:
            async with asyncio.timeout(_HEALTH_TIMEOUT_S):
                await link.channel.unary(_HEALTH, HealthRequest(), HealthResponse)
        except (CallFailed, ConnectionError, TimeoutError):
            return
