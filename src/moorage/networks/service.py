"""All networks of the daemon as one object: what ``containers``, ``build`` and ``api`` call.

Operations live in the modules beside this one; here they are only composed.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from typing import Protocol

from moorage.lib.errors import NotImplemented_
from moorage.lib.tasks import Supervisor
from moorage.networks.config import NetworksConfig
from moorage.networks.values import NameFiles, Sandbox, SandboxRequest, SandboxSettings
from moorage.spec.engine.filters import Filters
from moorage.spec.engine.network import (
    EndpointSettings,
    NetworkCreateRequest,
    NetworkCreateResponse,
    NetworkInspect,
    NetworkPruneResponse,
    NetworkSummary,
)
from moorage.storage.metadata import Database


class Publisher(Protocol):
    """Where events go (``events.bus.Bus``)."""

    def publish(self, kind: str, action: str, actor_id: str, attributes: dict[str, str], /) -> None:
        """Announce one event; never blocks."""


NameFilesChanged = Callable[[str, NameFiles], None]  # (container id, new contents); never blocks


class Networks:
    """Networks, endpoints and sandboxes of this daemon.

    Reads (``list_all``, ``inspect``, ``settings``) come from memory and never wait. Changes of one
    container are serialised by its owner; changes of one network are serialised here.
    """

    def __init__(
        self,
        *,
        config: NetworksConfig,
        database: Database,
        events: Publisher,
        supervisor: Supervisor,
    ) -> None:
        self._config = config
        self._database = database
        self._events = events
        self._supervisor = supervisor
        self.on_name_files: NameFilesChanged = lambda _container_id, _files: None

    async def open(self) -> None:
        """Load what is stored, make the default networks, put firewall and names right.

        Works on what an earlier daemon left: running containers keep their traffic throughout.
        """
        raise NotImplemented_("networks")

    async def restore(self, running: Collection[str]) -> None:
        """Adopt the sandboxes of *running* containers and release all others; call after open."""
        raise NotImplemented_("networks")

    async def close(self) -> None:
        """Stop the daemon's part; traffic, names and published ports of containers go on."""

    async def join(self, request: SandboxRequest) -> Sandbox:
        """Make the sandbox of a container that starts: all or nothing.

        Events: ``network connect`` for each network.
        Raises: NotFound (network), InvalidParameter, Conflict, System (address or port taken).
        """
        raise NotImplemented_("networks")

    async def leave(self, container_id: str) -> None:
        """Release everything a container holds; idempotent; the kernel tears down later.

        Events: ``network disconnect`` for each network.
        """
        raise NotImplemented_("networks")

    async def connect(
        self, ref: str, request: SandboxRequest, settings: EndpointSettings, *, running: bool
    ) -> tuple[str, EndpointSettings]:
        """Connect a container to the network *ref*; if not *running*, only check and complete.

        *request* describes the container as for ``join``; its *endpoints* are those before.
        Returns: the network's name and the settings to store for the container.
        Raises: NotFound, Forbidden, Conflict, InvalidParameter, System.
        """
        raise NotImplemented_("networks")

    async def disconnect(self, ref: str, container_id: str, *, force: bool) -> str:
        """Take a running container off the network *ref*; return the network's name.

        A container that is not running has no endpoint: then only the name is resolved.
        """
        raise NotImplemented_("networks")

    def settings(self, container_id: str) -> SandboxSettings:
        """Return what ``container inspect`` shows; empty for a container without sandbox."""
        raise NotImplemented_("networks")

    def rename_container(self, container_id: str, name: str) -> None:
        """Let a running container be found under its new name."""
        raise NotImplemented_("networks")

    def validate(self, request: SandboxRequest) -> None:
        """Check at ``container create`` what can be known before the start.

        Raises: InvalidParameter (addresses, ports, extra hosts, aliases). An unknown network is
        no error here: Docker reports it at the start.
        """
        raise NotImplemented_("networks")

    def name_of(self, ref: str) -> str:
        """Return the name of the network *ref* (name, id or unique prefix of the id).

        Raises: NotFound.
        """
        raise NotImplemented_("networks")

    async def create(self, request: NetworkCreateRequest) -> NetworkCreateResponse:
        """Create a network. Events: ``network create``."""
        raise NotImplemented_("networks")

    async def remove(self, ref: str) -> None:
        """Remove a network without endpoints. Events: ``network destroy``."""
        raise NotImplemented_("networks")

    def list_all(self, filters: Filters) -> list[NetworkSummary]:
        """Return the networks that pass *filters*."""
        raise NotImplemented_("networks")

    def inspect(self, ref: str, *, scope: str = "", verbose: bool = False) -> NetworkInspect:
        """Return one network with its endpoints."""
        raise NotImplemented_("networks")

    async def prune(
        self, filters: Filters, in_use: Mapping[str, str] | None = None
    ) -> NetworkPruneResponse:
        """Remove the user's networks that no container uses. Events: ``destroy``, ``prune``.

        *in_use*: network names that stopped containers refer to; they are kept too.
        """
        raise NotImplemented_("networks")
