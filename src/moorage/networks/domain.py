"""What the operations on networks share: state, drivers, firewall, host ports, names, events."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol
from weakref import WeakValueDictionary

from moorage.lib.errors import NotFound
from moorage.lib.tasks import Supervisor
from moorage.networks.config import NetworksConfig
from moorage.networks.drivers import remote
from moorage.networks.drivers.contract import Driver
from moorage.networks.files import Resolver
from moorage.networks.firewall.keeper import Keeper
from moorage.networks.forwarding import Forwarding
from moorage.networks.hostwatch import HostWatch
from moorage.networks.names import Names
from moorage.networks.ports import HostPorts
from moorage.networks.records import NetworkRecord
from moorage.networks.registry import Registry
from moorage.networks.remains import Remains
from moorage.networks.remoteipam import RemoteIpam
from moorage.networks.values import NameFiles
from moorage.plugins.registry import Plugins
from moorage.spec.engine.network import NetworkSummary

_RESOLV_CONF = Path("/etc/resolv.conf")
_SYSTEMD_RESOLV_CONF = Path("/run/systemd/resolve/resolv.conf")


class Publisher(Protocol):
    """Where events go (``events.bus.Bus``)."""

    def publish(self, kind: str, action: str, actor_id: str, attributes: dict[str, str], /) -> None:
        """Announce one event; never blocks."""


NameFilesChanged = Callable[[str, NameFiles], None]  # (container id, new contents); never blocks


@dataclass(slots=True)
class Domain:
    """The shared parts; every operation module takes it as its first argument."""

    config: NetworksConfig
    registry: Registry
    drivers: dict[str, Driver]
    keeper: Keeper
    names: Names
    host_ports: HostPorts
    forwarding: Forwarding
    events: Publisher
    supervisor: Supervisor
    watch: HostWatch
    remains: Remains
    plugins: Plugins | None = None
    ipam: RemoteIpam | None = None
    on_name_files: NameFilesChanged = lambda _container_id, _files: None
    # network id -> its record and what a listing shows of it, as long as it is the same record
    summaries: dict[str, tuple[NetworkRecord, NetworkSummary]] = field(default_factory=dict)
    # one at a time: choosing a subnet looks at what the kernel and the other networks have
    creating: asyncio.Lock = field(default_factory=asyncio.Lock)
    # by network id: one at a time takes a network away
    _removing: WeakValueDictionary[str, asyncio.Lock] = field(default_factory=WeakValueDictionary)
    # ids of sandboxes that are recorded and have no namespace yet
    building: set[str] = field(default_factory=set)
    # container id -> its tear-down, which a new start of the same container waits for
    leaving: dict[str, asyncio.Task[None]] = field(default_factory=dict)

    def driver(self, network: NetworkRecord) -> Driver:
        """Return the driver of a network; an unknown name is taken for a plugin's.

        Whether there is one shows when it is called. Raises: NotFound, without plugins.
        """
        found = self.drivers.get(network.driver)
        if found is None and self.plugins is not None:
            found = self.drivers[network.driver] = remote.Remote(network.driver, self.plugins)
        if found is None:
            raise NotFound(f'plugin "{network.driver}" not found')
        return found

    def removing(self, network_id: str) -> asyncio.Lock:
        """Return the lock of those who take a network away, which may take a plugin's time."""
        return self._removing.setdefault(network_id, asyncio.Lock())

    def handle(self, sandbox_id: str) -> Path:
        """Return where a sandbox's namespace is pinned."""
        return self.config.exec_root / "netns" / sandbox_id[:12]

    def announce(self, action: str, network: NetworkRecord, **attributes: str) -> None:
        """Publish an event of a network."""
        self.events.publish(
            "network",
            action,
            network.id,
            {**attributes, "name": network.name, "type": network.driver},
        )


def host_resolver(path: Path = _RESOLV_CONF) -> Resolver:
    """Return what this host resolves names with.

    systemd-resolved's stub is no use to others, so the file with its real servers is read instead.
    """
    try:
        found = Resolver.parse(path.read_text(errors="replace"))
    except OSError:
        return Resolver()
    if found.servers == ["127.0.0.53"] and _SYSTEMD_RESOLV_CONF.exists():
        return Resolver.parse(_SYSTEMD_RESOLV_CONF.read_text(errors="replace"))
    return found
