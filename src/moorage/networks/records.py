"""What is stored of networks and sandboxes, and the tables it is stored in.

``networks``          one row for each network
``network_remains``   one row for each bridge that is to go, of a network that is gone already
``network_sandboxes`` one row for each running container: its endpoints and published ports.
The row is written before the kernel is touched and deleted after it has been cleaned, so whatever
a killed daemon left half-made has a row that says what to remove.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import msgspec
from msgspec import Struct, field

from moorage.networks.firewall.rules import PortLink, Published
from moorage.networks.ipam import Subnet
from moorage.networks.values import SandboxRequest
from moorage.spec.engine.network import EndpointSettings
from moorage.storage.metadata import Database

_MIGRATIONS = (
    """
    CREATE TABLE networks (
        id TEXT PRIMARY KEY, name TEXT NOT NULL UNIQUE, record BLOB NOT NULL);
    CREATE TABLE network_sandboxes (container_id TEXT PRIMARY KEY, record BLOB NOT NULL);
    CREATE TABLE network_facts (name TEXT PRIMARY KEY, value TEXT NOT NULL)
    """,
    "CREATE TABLE network_remains (device TEXT PRIMARY KEY, mac TEXT NOT NULL)",
)


class NetworkRecord(Struct, frozen=True, kw_only=True):
    """One network."""

    id: str
    name: str
    driver: str
    created_ns: int
    scope: str = "local"
    ipv4: bool = True
    ipv6: bool = False
    internal: bool = False
    attachable: bool = False
    config_only: bool = False
    config_from: str = ""
    options: dict[str, str] = field(default_factory=dict)
    labels: dict[str, str] = field(default_factory=dict)
    ipam_driver: str = "default"
    ipam_options: dict[str, str] = field(default_factory=dict)
    subnets: list[Subnet] = field(default_factory=list)
    subnets_given: bool = False  # by the user: then --ip is allowed
    device: str = ""  # the bridge or parent interface
    own_device: bool = True  # made by us, so removed with the network
    fixed_address: bool = False  # the bridge's addresses are the user's: do not change them
    vni: int = 0  # overlay: the VXLAN's number
    remote_pools: dict[str, str] = field(default_factory=dict)  # IPAM plugin: subnet -> pool id


class Endpoint(Struct, frozen=True, kw_only=True):
    """A container's interface on one network."""

    id: str
    network_id: str
    interface: str  # inside: eth0
    port: str = ""  # outside: the veth that is a port of the bridge
    confined: bool = False  # may speak for its own addresses alone (``firewall.guard``)
    mac: str = ""
    ipv4: str = ""  # with prefix length
    ipv6: str = ""
    gateway4: str = ""
    gateway6: str = ""
    settings: EndpointSettings = field(default_factory=EndpointSettings)  # as the user gave them
    names: list[str] = field(default_factory=list)  # DNS names, lower case
    links: list[PortLink] = field(default_factory=list)
    routes: list[tuple[str, str]] = field(default_factory=list)  # a plugin's: (subnet, gateway)


class SandboxRecord(Struct, frozen=True, kw_only=True):
    """The network side of one running container."""

    id: str
    request: SandboxRequest
    endpoints: list[Endpoint] = field(default_factory=list)  # in the order of joining
    published: list[Published] = field(default_factory=list)

    @property
    def container_id(self) -> str:
        """The container's id."""
        return self.request.container_id


class Records:
    """The tables of the networks."""

    def __init__(self, database: Database) -> None:
        self._database = database
        database.migrate("networks", _MIGRATIONS)

    def networks(self) -> Iterator[NetworkRecord]:
        """Return all networks."""
        for row in self._database.all("SELECT record FROM networks"):
            yield msgspec.json.decode(row["record"], type=NetworkRecord)

    def sandboxes(self) -> Iterator[SandboxRecord]:
        """Return all sandboxes."""
        for row in self._database.all("SELECT record FROM network_sandboxes"):
            yield msgspec.json.decode(row["record"], type=SandboxRecord)

    def save_network(self, network: NetworkRecord) -> None:
        """Insert or replace a network."""
        self._database.execute(
            "INSERT INTO networks VALUES (?, ?, ?)"
            " ON CONFLICT (id) DO UPDATE SET name = excluded.name, record = excluded.record",
            network.id,
            network.name,
            msgspec.json.encode(network),
        )

    def delete_network(self, network_id: str) -> None:
        """Delete a network."""
        self._database.execute("DELETE FROM networks WHERE id = ?", network_id)

    def save_sandbox(self, sandbox: SandboxRecord) -> None:
        """Insert or replace a sandbox."""
        self._database.execute(
            "INSERT INTO network_sandboxes VALUES (?, ?)"
            " ON CONFLICT (container_id) DO UPDATE SET record = excluded.record",
            sandbox.container_id,
            msgspec.json.encode(sandbox),
        )

    def delete_sandbox(self, container_id: str) -> None:
        """Delete a sandbox."""
        self._database.execute("DELETE FROM network_sandboxes WHERE container_id = ?", container_id)

    def remains(self) -> dict[str, str]:
        """Return the bridges that are to go, each with its Ethernet address."""
        rows = self._database.all("SELECT device, mac FROM network_remains")
        return {str(row["device"]): str(row["mac"]) for row in rows}

    def save_remains(self, device: str, mac: str) -> None:
        """Remember a bridge that is to go."""
        self._database.execute("INSERT OR REPLACE INTO network_remains VALUES (?, ?)", device, mac)

    def forget_remains(self, devices: Iterable[str]) -> None:
        """Forget bridges that have gone."""
        with self._database.transaction():
            for device in devices:
                self._database.execute("DELETE FROM network_remains WHERE device = ?", device)

    def fact(self, name: str) -> str:
        """Return a remembered fact, or nothing."""
        row = self._database.one("SELECT value FROM network_facts WHERE name = ?", name)
        return str(row["value"]) if row else ""

    def remember(self, name: str, value: str) -> None:
        """Remember a fact of this host."""
        self._database.execute(
            "INSERT INTO network_facts VALUES (?, ?)"
            " ON CONFLICT (name) DO UPDATE SET value = excluded.value",
            name,
            value,
        )
