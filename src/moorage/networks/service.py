"""All networks of the daemon as one object: what ``containers``, ``build`` and ``api`` call.

Operations live in the modules beside this one; here they are only composed.
"""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Coroutine
from contextlib import AsyncExitStack
from itertools import chain

from msgspec import structs

from moorage.lib import offload, tasks
from moorage.lib.errors import Forbidden, InvalidParameter, MoorageError, System
from moorage.lib.tasks import Supervisor
from moorage.networks import (
    attach,
    builtin,
    create,
    endpoints,
    files,
    host,
    hostlock,
    listing,
    live,
    mending,
    naming,
    ports,
    remove,
)
from moorage.networks.config import NetworksConfig
from moorage.networks.domain import Domain, NameFilesChanged, Publisher
from moorage.networks.drivers.bridge import Bridge, BridgeTaken
from moorage.networks.drivers.ipvlan import Ipvlan
from moorage.networks.drivers.macvlan import Macvlan
from moorage.networks.drivers.none import Bare
from moorage.networks.drivers.overlay.driver import Overlay
from moorage.networks.firewall.keeper import Keeper
from moorage.networks.forwarding import Forwarding
from moorage.networks.hostwatch import HostWatch
from moorage.networks.names import Names, Packet
from moorage.networks.ports import HostPorts
from moorage.networks.records import NetworkRecord, Records
from moorage.networks.registry import Registry
from moorage.networks.remains import Remains
from moorage.networks.remoteipam import RemoteIpam
from moorage.networks.values import Sandbox, SandboxRequest, SandboxSettings
from moorage.plugins.registry import Plugins
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

__all__ = ["Networks", "NetworksConfig", "Sandbox", "SandboxRequest", "SandboxSettings"]


class Networks:
    """Networks, endpoints and sandboxes of this daemon.

    Reads (``list_all``, ``inspect``, ``settings``) come from memory and never wait. Changes of one
    container are serialised by its owner; changes of one network are serialised here.
    Changes go on if the caller is cancelled: a client that hangs up leaves nothing half-made.
    """

    def __init__(
        self,
        *,
        config: NetworksConfig,
        database: Database,
        events: Publisher,
        supervisor: Supervisor,
        plugins: Plugins | None = None,
    ) -> None:
        keeper = Keeper(config.instance, supervisor, admit=config.firewall == "accept")
        registry = Registry(Records(database))
        remains = Remains(registry.records, supervisor, config.instance)
        host_ports = HostPorts()
        self._background: list[asyncio.Task[object]] = []
        self._overlay = Overlay(
            config,
            registry,
            keeper,
            supervisor,
            tell=self._tell,
            announce=self._announce,
            evict=self._evict,
        )
        self._domain = Domain(
            config=config,
            registry=registry,
            drivers={
                "null": Bare("null"),
                "host": Bare("host"),
                "bridge": Bridge(
                    keeper,
                    remains,
                    allow_direct_routing=config.allow_direct_routing,
                    default_mtu=config.mtu,
                ),
                "macvlan": Macvlan(registry),
                "ipvlan": Ipvlan(),
                "overlay": self._overlay,
            },
            keeper=keeper,
            names=Names(
                config.exec_root,
                supervisor,
                lambda: chain(naming.account(self._domain), self._overlay.account()),
                lambda: naming.handles(self._domain),
            ),
            host_ports=host_ports,
            forwarding=Forwarding(
                config.exec_root,
                supervisor,
                lambda port: host_ports.listener(port.protocol, port.host, port.host_port),
            ),
            events=events,
            supervisor=supervisor,
            watch=HostWatch(self._lost),
            remains=remains,
            plugins=plugins,
            ipam=RemoteIpam(plugins) if plugins else None,
        )

    @property
    def on_name_files(self) -> NameFilesChanged:
        """Called when a running container's /etc/hosts and /etc/resolv.conf are to change."""
        return self._domain.on_name_files

    @on_name_files.setter
    def on_name_files(self, callback: NameFilesChanged) -> None:
        self._domain.on_name_files = callback

    @property
    def drivers(self) -> list[str]:
        """The names of the drivers."""
        return sorted(self._domain.drivers)

    async def open(self) -> None:
        """Load what is stored, make the default networks, put firewall and names right.

        Works on what an earlier daemon left: running containers keep their traffic throughout.
        """
        domain = self._domain
        (domain.config.exec_root / "netns").mkdir(mode=0o700, parents=True, exist_ok=True)
        domain.registry.load()
        domain.watch.open()
        domain.remains.open({n.device for n in domain.registry.networks.values()})
        async with hostlock.choosing():
            await builtin.ensure(domain)
            if domain.registry.has_name("bridge"):
                await self._revive(domain.registry.find("bridge"))
        networks = [n for n in domain.registry.networks.values() if not n.config_only]
        if domain.config.ip_forward:
            await offload.run("net", host.enable_forwarding, ipv6=any(n.ipv6 for n in networks))
        await self._overlay.open()
        for network in networks:
            if network.name != "bridge":
                await self._revive(network)
        await domain.forwarding.open()
        for sandbox in domain.registry.sandboxes.values():
            attach.note_existing(domain, sandbox)
        domain.forwarding.end_unclaimed()
        await domain.keeper.open()
        await domain.names.open()
        self._overlay.attended()

    async def _revive(self, network: NetworkRecord) -> None:
        """Make what the host has lost of a stored network, as after a reboot."""
        try:
            found = await self._domain.driver(network).create(network)
        except BridgeTaken:
            await self._revive(await builtin.rename_bridge(self._domain, network))
            return
        except (MoorageError, OSError) as error:
            if network.name == "bridge":
                raise System(f"cannot set up the default bridge: {error}") from error
            attach.log.warning("network %s is not usable: %s", network.name, error)
            return
        if found != network:
            self._domain.registry.enter(found)

    async def restore(self, running: Collection[str]) -> None:
        """Adopt the sandboxes of *running* containers and release all others; call after open.

        What an adopted one has lost meanwhile is plugged in again.
        """
        alive = set(running)
        async with asyncio.TaskGroup() as group:  # few transactions close the ports of all
            for container_id in list(self._domain.registry.sandboxes):
                if container_id not in alive:
                    group.create_task(attach.leave(self._domain, container_id))
        try:
            await mending.replug(self._domain, list(self._domain.registry.networks))
        except OSError as error:
            attach.log.warning("containers may have lost interfaces: %s", error)

    async def close(self) -> None:
        """Stop the daemon's part; traffic, names and published ports of containers go on."""
        if leaving := list(self._domain.leaving.values()):
            await asyncio.wait(leaving)
        async with AsyncExitStack() as rest:  # each has its turn, whatever became of another
            rest.callback(self._domain.host_ports.close)
            rest.callback(self._domain.watch.close)
            rest.push_async_callback(self._domain.remains.wait_cleared)
            alone = not self._domain.registry.sandboxes
            rest.push_async_callback(self._domain.keeper.close, remove=alone)
            rest.push_async_callback(self._domain.names.close, end=alone)
            await self._overlay.close()

    async def dismantle(self) -> None:
        """Take all networks off the host, the default ones too, when nothing uses them any more."""
        for network in list(self._domain.registry.networks.values()):
            await remove.take_down(self._domain, network)
        await self._domain.remains.wait_cleared()

    async def join(self, request: SandboxRequest, *, namespace: int | None = None) -> Sandbox:
        """Make the sandbox of a container that starts: all or nothing.

        *namespace*: a fresh network namespace to use, which belongs to the container's users.
        Events: ``network connect`` for each network.
        Raises: NotFound (network), InvalidParameter, Conflict, System (address or port taken).
        """
        work = attach.join(self._domain, request, namespace)
        return await tasks.finish(work, self._domain.supervisor, "join")

    async def leave(self, container_id: str) -> None:
        """Release everything a container holds; idempotent; the kernel tears down later.

        Its published ports are closed when this returns.

        Events: ``network disconnect`` for each network.
        """
        await attach.leave(self._domain, container_id)

    async def connect(
        self, ref: str, request: SandboxRequest, settings: EndpointSettings, *, running: bool
    ) -> tuple[str, EndpointSettings]:
        """Connect a container to the network *ref*; if not *running*, only check and complete.

        *request* describes the container as for ``join``; its *endpoints* are those before.
        Returns: the network's name and the settings to store for the container.
        Raises: NotFound, Forbidden, Conflict, InvalidParameter, System.
        """
        domain = self._domain
        network = domain.registry.find(ref)
        if network.config_only:
            raise Forbidden(attach.CONFIGURATION_ONLY)
        on = [self._find_or_none(name) for name in {request.network_mode, *request.endpoints}]
        if any(other is not None and other.name == "host" for other in on):
            raise InvalidParameter(
                "container sharing network namespace with another container or host cannot be"
                " connected to any other network"
            )
        for other in (network, *filter(None, on)):
            attach.refuse_lonely(other)
        endpoints.check_settings(
            network,
            settings,
            names_on_default=domain.config.names_on_default_bridge,
            connecting=True,
        )
        if not running:
            return network.name, structs.replace(settings, network_id=network.id)
        made = domain.registry.sandboxes.get(request.container_id)
        if made is None:
            raise System(f"container {request.container_id} has no sandbox")
        if any(e.network_id == network.id for e in made.endpoints):
            raise Forbidden(
                f"endpoint with name {request.name} already exists in network {network.name}"
            )
        request = structs.replace(request, endpoints={**request.endpoints, network.name: settings})
        work = live.connect(domain, request, network, settings)
        return network.name, await tasks.finish(work, domain.supervisor, "connect")

    async def publish(self, request: SandboxRequest) -> None:
        """Publish the ports of *request* for a running container, instead of those it has.

        What of *request* is no matter of ports counts from the next ``join`` on.
        Raises: InvalidParameter, System (a port is taken, there is no sandbox).
        """
        made = self._domain.registry.sandboxes.get(request.container_id)
        if made is None:
            raise System(f"container {request.container_id} has no sandbox")
        wanted = structs.replace(
            made.request,
            port_bindings=request.port_bindings,
            exposed_ports=request.exposed_ports,
            publish_all=request.publish_all,
        )
        if wanted != made.request:
            work = live.publish(self._domain, made, wanted)
            await tasks.finish(work, self._domain.supervisor, "publish")

    def _find_or_none(self, ref: str) -> NetworkRecord | None:
        try:
            return self._domain.registry.find(ref)
        except MoorageError:
            return None

    async def disconnect(self, ref: str, container_id: str) -> tuple[str, bool]:
        """Take a running container off the network *ref*.

        Returns: the network's name, and whether there was an endpoint to take away.
        """
        domain = self._domain
        network = domain.registry.find(ref)
        made = domain.registry.sandboxes.get(container_id)
        if made is None:
            return network.name, False
        if network.name == "host":
            attach.refuse_lonely(network)
        endpoint = next((e for e in made.endpoints if e.network_id == network.id), None)
        if endpoint is None:
            return network.name, False
        work = live.disconnect(domain, made, endpoint)
        await tasks.finish(work, domain.supervisor, "disconnect")
        return network.name, True

    def _tell(self, packet: Packet) -> None:
        self._domain.names.tell(packet)

    def _announce(self, action: str, network: NetworkRecord) -> None:
        self._domain.announce(action, network)

    def _evict(self, network_id: str, container_id: str) -> None:
        """Take a container off a network whose cluster has given its address away."""
        work = self.disconnect(network_id, container_id)
        self._start(work, "evict")

    def _lost(self, device: str) -> None:
        """Mend a device that somebody has deleted."""
        if losers := mending.losers(self._domain, device):
            self._start(mending.mend(self._domain, device, losers), f"mend {device}")

    def _start(self, work: Coroutine[object, object, object], name: str) -> None:
        self._background = [task for task in self._background if not task.done()]
        self._background.append(self._domain.supervisor.start(work, name))

    def settings(self, container_id: str) -> SandboxSettings:
        """Return what ``container inspect`` shows; empty for a container without sandbox."""
        made = self._domain.registry.sandboxes.get(container_id)
        return attach.settings_of(self._domain, made) if made else SandboxSettings()

    def asked(self, container_id: str) -> dict[str, EndpointSettings] | None:
        """Return the networks that a container is on, with what was asked of each.

        None for one without a sandbox of its own.
        """
        made = self._domain.registry.sandboxes.get(container_id)
        if made is None:
            return None
        networks = self._domain.registry.networks
        on = [(networks.get(e.network_id), e.settings) for e in made.endpoints]
        return {network.name: settings for network, settings in on if network is not None}

    def rename_container(self, container_id: str, name: str) -> None:
        """Let a running container be found under its new name."""
        made = self._domain.registry.sandboxes.get(container_id)
        if made is None:
            return
        request = structs.replace(made.request, name=name)
        renamed = [
            structs.replace(e, names=endpoints.dns_names(request, e.settings))
            for e in made.endpoints
        ]
        made = structs.replace(made, request=request, endpoints=renamed)
        self._domain.registry.enter_sandbox(made)
        naming.tell_joined(self._domain, made)

    def validate(self, request: SandboxRequest) -> None:
        """Check at ``container create`` what can be known before the start.

        Raises: InvalidParameter (addresses, ports, extra hosts, aliases). An unknown network is
        no error here: Docker reports it at the start.
        """
        ports.wishes(request.port_bindings, request.exposed_ports, publish_all=True)
        files.check_options(
            request.extra_hosts, request.dns, request.dns_search, request.dns_options
        )
        for name in filter(None, (request.hostname, request.domainname)):
            if not files.is_written(name):
                raise InvalidParameter(f"invalid hostname format: {name}")
        for ref, settings in request.endpoints.items():
            network = self._find_or_none(ref)
            if network is not None:
                endpoints.check_settings(
                    network,
                    settings,
                    names_on_default=self._domain.config.names_on_default_bridge,
                )

    def name_of(self, ref: str) -> str:
        """Return the name of the network *ref* (name, id or unique prefix of the id).

        Raises: NotFound.
        """
        return self._domain.registry.find(ref).name

    def id_of(self, ref: str) -> str:
        """Return the id of the network *ref*; empty if there is none."""
        network = self._find_or_none(ref)
        return network.id if network else ""

    async def create(self, request: NetworkCreateRequest) -> NetworkCreateResponse:
        """Create a network. Events: ``network create``."""
        work = create.create(self._domain, request)
        return await tasks.finish(work, self._domain.supervisor, "create network")

    async def remove(self, ref: str) -> None:
        """Remove a network without endpoints. Events: ``network destroy``."""
        work = remove.remove(self._domain, ref)
        await tasks.finish(work, self._domain.supervisor, "remove network")

    def list_all(self, filters: Filters) -> list[NetworkSummary]:
        """Return the networks that pass *filters*."""
        return listing.list_all(self._domain, filters)

    def inspect(self, ref: str, *, scope: str = "", verbose: bool = False) -> NetworkInspect:
        """Return one network with its endpoints."""
        return listing.inspect(self._domain, ref, scope=scope, verbose=verbose)

    async def prune(self, filters: Filters) -> NetworkPruneResponse:
        """Remove the user's networks that no running container is on.

        Events: ``destroy``, ``prune``.
        """
        work = remove.prune(self._domain, filters)
        return await tasks.finish(work, self._domain.supervisor, "prune networks")
