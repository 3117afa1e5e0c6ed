"""The daemon's settings that the networks obey, named as in daemon.json."""

from __future__ import annotations

from pathlib import Path

from msgspec import Struct, field


class AddressPool(Struct, frozen=True, kw_only=True):
    """One of ``default-address-pools``: *base* is cut into subnets of prefix length *size*."""

    base: str
    size: int


class NetworksConfig(Struct, frozen=True, kw_only=True):
    """Settings of all networks and of the default bridge."""

    state_root: Path  # below data-root
    exec_root: Path  # on tmpfs: namespace handles, the name server's socket
    instance: str  # 8 hexadecimal digits of the data-root: nft tables and interfaces of this daemon
    bridge: str = ""  # an existing bridge to use, "none" for no default bridge, "" for our own
    bip: str = ""  # address of the default bridge as CIDR
    bip6: str = ""
    fixed_cidr: str = ""
    fixed_cidr_v6: str = ""
    default_gateway: str = ""
    default_gateway_v6: str = ""
    default_address_pools: list[AddressPool] = field(default_factory=list)
    default_network_opts: dict[str, dict[str, str]] = field(default_factory=dict)  # by driver
    ip: str = ""  # host address of ports published without one; "" = every address
    ipv6: bool = False  # the default bridge has IPv6 too
    icc: bool = True
    ip_forward: bool = True
    ip_masq: bool = True
    mtu: int = 0  # 0 = the driver's default (1500)
    dns: list[str] = field(default_factory=list)
    dns_search: list[str] = field(default_factory=list)
    dns_opts: list[str] = field(default_factory=list)
    host_gateway_ips: list[str] = field(default_factory=list)
    allow_direct_routing: bool = False
    names_on_default_bridge: bool = True  # container names and host.docker.internal resolve there
    firewall: str = "respect"  # or "accept": see docs/networks.md, what ufw and firewalld users see
    cluster_store: str = ""  # "etcd://host:port[,…]", needed by overlay networks
    cluster_store_opts: dict[str, str] = field(default_factory=dict)
    cluster_advertise: str = ""  # "address" or "interface": how other hosts reach this one
