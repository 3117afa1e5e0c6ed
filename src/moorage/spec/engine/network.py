"""Values of the Engine API about networks, addresses and endpoints.

Names and fields are those of its document (1.55).

A list or map that is ``None`` is Go's nil: it is written as ``null``.
"""

from __future__ import annotations

from msgspec import UNSET, Struct, UnsetType, field


class Network(Struct, frozen=True, kw_only=True, rename="pascal"):
    """The document's ``Network``."""

    name: str = ""
    id: str = ""
    created: str = ""
    scope: str = ""
    driver: str = ""
    enable_ipv4: bool = field(default=False, name="EnableIPv4")
    enable_ipv6: bool = field(default=False, name="EnableIPv6")
    ipam: IPAM | None = field(default=None, name="IPAM")
    internal: bool = False
    attachable: bool = False
    ingress: bool = False
    config_from: ConfigReference | None = None
    config_only: bool = False
    options: dict[str, str] | None = None
    labels: dict[str, str] | None = None
    peers: list[PeerInfo] | UnsetType = UNSET  # overlay networks only


class NetworkSummary(Network, frozen=True, kw_only=True, rename="pascal"):
    """The document's ``NetworkSummary``."""


class NetworkInspect(Network, frozen=True, kw_only=True, rename="pascal"):
    """The document's ``NetworkInspect``."""

    containers: dict[str, EndpointResource] | None = None
    services: dict[str, object] | UnsetType = UNSET  # swarm only
    status: NetworkStatus | UnsetType = UNSET


class NetworkStatus(Struct, frozen=True, kw_only=True, rename="pascal"):
    """The document's ``NetworkStatus``."""

    ipam: IPAMStatus | None = field(default=None, name="IPAM")


class ConfigReference(Struct, frozen=True, kw_only=True, rename="pascal"):
    """The document's ``ConfigReference``."""

    network: str = ""


class IPAM(Struct, frozen=True, kw_only=True, rename="pascal"):
    """The document's ``IPAM``."""

    driver: str = ""
    config: list[IPAMConfig] | None = None
    options: dict[str, str] | None = None


class IPAMConfig(Struct, frozen=True, kw_only=True, rename="pascal", omit_defaults=True):
    """The document's ``IPAMConfig``."""

    subnet: str = ""
    ip_range: str = field(default="", name="IPRange")
    gateway: str = ""
    auxiliary_addresses: dict[str, str] | None = None


class IPAMStatus(Struct, frozen=True, kw_only=True, rename="pascal"):
    """The document's ``IPAMStatus``."""

    subnets: dict[str, SubnetStatus] | None = None


class SubnetStatus(Struct, frozen=True, kw_only=True, rename="pascal"):
    """The document's ``SubnetStatus``."""

    i_ps_in_use: int = 0
    dynamic_i_ps_available: int = 0


class EndpointResource(Struct, frozen=True, kw_only=True, rename="pascal"):
    """The document's ``EndpointResource``."""

    name: str = ""
    endpoint_id: str = field(default="", name="EndpointID")
    mac_address: str = ""
    ipv4_address: str = field(default="", name="IPv4Address")
    ipv6_address: str = field(default="", name="IPv6Address")


class PeerInfo(Struct, frozen=True, kw_only=True, rename="pascal"):
    """The document's ``PeerInfo``."""

    name: str = ""
    ip: str = field(default="", name="IP")


class NetworkCreateRequest(Struct, frozen=True, kw_only=True, rename="pascal"):
    """The body of ``NetworkCreate``."""

    name: str = ""
    driver: str = ""
    scope: str = ""
    internal: bool = False
    attachable: bool = False
    ingress: bool = False
    config_only: bool = False
    config_from: ConfigReference | None = None
    ipam: IPAM | None = field(default=None, name="IPAM")
    enable_ipv4: bool | None = field(default=None, name="EnableIPv4")
    enable_ipv6: bool | None = field(default=None, name="EnableIPv6")
    options: dict[str, str] | None = None
    labels: dict[str, str] | None = None


class NetworkPruneResponse(Struct, frozen=True, kw_only=True, rename="pascal"):
    """The answer of ``NetworkPrune``."""

    networks_deleted: list[str] | None = None


class NetworkCreateResponse(Struct, frozen=True, kw_only=True, rename="pascal"):
    """The document's ``NetworkCreateResponse``."""

    id: str = ""
    warning: str = ""


class NetworkConnectRequest(Struct, frozen=True, kw_only=True, rename="pascal"):
    """The document's ``NetworkConnectRequest``."""

    container: str = ""
    endpoint_config: EndpointSettings | None = None


class NetworkDisconnectRequest(Struct, frozen=True, kw_only=True, rename="pascal"):
    """The document's ``NetworkDisconnectRequest``."""

    container: str = ""
    force: bool = False


class EndpointSettings(Struct, frozen=True, kw_only=True, rename="pascal"):
    """The document's ``EndpointSettings``."""

    ipam_config: EndpointIPAMConfig | None = field(default=None, name="IPAMConfig")
    links: list[str] | None = None
    mac_address: str = ""
    aliases: list[str] | None = None
    driver_opts: dict[str, str] | None = None
    gw_priority: int = 0
    network_id: str = field(default="", name="NetworkID")
    endpoint_id: str = field(default="", name="EndpointID")
    gateway: str = ""
    ip_address: str = field(default="", name="IPAddress")
    ip_prefix_len: int = field(default=0, name="IPPrefixLen")
    ipv6_gateway: str = field(default="", name="IPv6Gateway")
    global_ipv6_address: str = field(default="", name="GlobalIPv6Address")
    global_ipv6_prefix_len: int = field(default=0, name="GlobalIPv6PrefixLen")
    dns_names: list[str] | None = field(default=None, name="DNSNames")


class EndpointIPAMConfig(Struct, frozen=True, kw_only=True, rename="pascal", omit_defaults=True):
    """The document's ``EndpointIPAMConfig``."""

    ipv4_address: str = field(default="", name="IPv4Address")
    ipv6_address: str = field(default="", name="IPv6Address")
    link_local_i_ps: list[str] | None = None
