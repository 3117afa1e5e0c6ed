"""What the owner of containers and the networks tell each other: values only."""

from __future__ import annotations

from pathlib import Path

from msgspec import Struct, field

from moorage.spec.engine.hostconfig import PortBinding
from moorage.spec.engine.network import EndpointSettings


class Link(Struct, frozen=True, kw_only=True):
    """One ``--link container:alias`` of a container, resolved by its owner."""

    container_id: str
    name: str  # the linked container's name, without "/"
    alias: str
    hostname: str = ""


class SandboxRequest(Struct, frozen=True, kw_only=True):
    """Everything the networks must know of a container that starts, or is connected.

    *network_mode* is ``none``, ``host``, ``default``/``bridge`` or the name or id of a network;
    ``container:`` is never seen here, its sandbox belongs to the other container.
    *endpoints* holds the settings by network name or id as the user gave them, in the user's
    order; the network of *network_mode* joins first and may be absent from it.
    """

    container_id: str
    name: str  # without the leading "/"
    network_mode: str = "default"
    hostname: str = ""
    domainname: str = ""
    endpoints: dict[str, EndpointSettings] = field(default_factory=dict)
    unplugged: bool = False  # without endpoints it joins no network, whatever the mode
    port_bindings: dict[str, list[PortBinding] | None] = field(default_factory=dict)
    exposed_ports: list[str] = field(default_factory=list)  # "80/tcp"
    publish_all: bool = False
    dns: list[str] = field(default_factory=list)
    dns_search: list[str] = field(default_factory=list)
    dns_options: list[str] = field(default_factory=list)
    extra_hosts: list[str] = field(default_factory=list)  # "name:address", "name=address"
    links: list[Link] = field(default_factory=list)
    sysctls: dict[str, str] = field(default_factory=dict)  # "net.*", for inside the namespace
    mac_address: str = ""  # the old container-wide option: for the network of network_mode
    confined: bool = True  # may not take other addresses: it was not given CAP_NET_ADMIN


class Sandbox(Struct, frozen=True, kw_only=True):
    """A network namespace with its endpoints, ready for the container's first process."""

    id: str
    key: Path | None  # handle of the namespace for the OCI spec; None: the host's own
    hosts: bytes  # content for the container's /etc/hosts
    resolv_conf: bytes  # content for the container's /etc/resolv.conf
    settings: SandboxSettings
    sysctls: dict[str, str] = field(
        default_factory=dict
    )  # of the request: for the runtime to set, when all interfaces are there


class SandboxSettings(Struct, frozen=True, kw_only=True):
    """The live half of the document's ``NetworkSettings``, as ``container inspect`` shows it."""

    sandbox_id: str = ""
    sandbox_key: str = ""
    ports: dict[str, list[PortBinding] | None] = field(default_factory=dict)
    networks: dict[str, EndpointSettings] = field(default_factory=dict)  # by network name


class NameFiles(Struct, frozen=True, kw_only=True):
    """New contents of a running container's /etc/hosts and /etc/resolv.conf."""

    hosts: bytes
    resolv_conf: bytes
