"""The daemon's configuration: ``daemon.json`` as a typed value; its keys are dockerd's."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from msgspec import Struct, field

from moorage.cdi import directories
from moorage.spec.engine.hostconfig import Ulimit

DEFAULT_CONFIG_FILE: Final = Path("/etc/moorage/daemon.json")


class AddressPool(Struct, frozen=True, kw_only=True):
    """One of ``default-address-pools``."""

    base: str
    size: int


class RuntimeOption(Struct, frozen=True, kw_only=True, rename="camel"):
    """One of ``runtimes``."""

    path: str = ""
    runtime_args: list[str] = field(default_factory=list)
    runtime_type: str = ""  # containerd's shims; only "" is known here
    options: dict[str, object] | None = None


class ProxyOption(Struct, frozen=True, kw_only=True, rename="kebab"):
    """``proxies``: what the daemon itself uses to reach registries."""

    http_proxy: str = ""
    https_proxy: str = ""
    no_proxy: str = ""


class GcPolicy(Struct, frozen=True, kw_only=True, rename="camel"):
    """One rule of ``builder.gc.policy``."""

    all: bool = False
    filter: list[str] | dict[str, dict[str, bool]] = field(default_factory=list)
    keep_storage: str = ""
    reserved_space: str = ""
    max_used_space: str = ""
    min_free_space: str = ""


class GcOption(Struct, frozen=True, kw_only=True, rename="camel"):
    """``builder.gc``."""

    enabled: bool | None = None
    default_keep_storage: str = ""
    default_reserved_space: str = ""
    default_max_used_space: str = ""
    default_min_free_space: str = ""
    policy: list[GcPolicy] = field(default_factory=list)


class BuilderOption(Struct, frozen=True, kw_only=True):
    """``builder``."""

    gc: GcOption = field(default_factory=GcOption)
    entitlements: dict[str, bool] = field(default_factory=dict)


class Config(Struct, frozen=True, kw_only=True, rename="kebab"):
    """Everything that can be configured; field names in kebab case are the keys of the file."""

    # -- the daemon itself
    hosts: list[str] = field(default_factory=list)
    allowed_hosts: list[str] = field(default_factory=list)  # Host headers taken over plain TCP
    group: str = ""
    data_root: str = "/var/lib/moorage"
    exec_root: str = "/run/moorage"
    pidfile: str = ""
    debug: bool = False
    log_level: str = "info"
    log_format: str = "text"
    raw_logs: bool = False
    labels: list[str] = field(default_factory=list)
    experimental: bool = False
    features: dict[str, bool] = field(default_factory=dict)
    live_restore: bool = True  # dockerd: off; a container depends on nothing of the daemon here
    shutdown_timeout: int = 15  # seconds containers are given, without live restore
    metrics_addr: str = ""
    allow_insecure_tcp: bool = False  # TCP without TLS beyond loopback: root for whoever reaches it
    tls: bool | None = None  # None = not said; False said allows TCP without TLS, as for dockerd
    tlsverify: bool | None = None
    tlscacert: str = ""
    tlscert: str = ""
    tlskey: str = ""
    authorization_plugins: list[str] = field(default_factory=list)
    oom_score_adjust: int = 0

    # -- storage and images
    storage_driver: str = ""
    storage_opts: list[str] = field(default_factory=list)
    registry_mirrors: list[str] = field(default_factory=list)
    insecure_registries: list[str] = field(default_factory=list)
    max_concurrent_downloads: int = 3
    max_concurrent_uploads: int = 5
    max_download_attempts: int = 5
    proxies: ProxyOption = field(default_factory=ProxyOption)
    builder: BuilderOption = field(default_factory=BuilderOption)

    # -- containers
    runtimes: dict[str, RuntimeOption] = field(default_factory=dict)
    default_runtime: str = ""
    exec_opts: list[str] = field(default_factory=list)
    cgroup_parent: str = ""
    default_cgroupns_mode: str = ""
    default_ipc_mode: str = "private"
    default_shm_size: str = "64M"
    default_ulimits: dict[str, Ulimit] = field(default_factory=dict)
    init: bool = False
    init_path: str = ""
    log_driver: str = "json-file"
    log_opts: dict[str, str] = field(default_factory=dict)
    no_new_privileges: bool = False
    seccomp_profile: str = ""
    selinux_enabled: bool = False
    userns_remap: str = ""
    cdi_spec_dirs: list[str] = field(default_factory=lambda: list(directories.DEFAULT))
    node_generic_resources: list[str] = field(default_factory=list)

    # -- networks
    bridge: str = ""
    bip: str = ""
    bip6: str = ""
    fixed_cidr: str = ""
    fixed_cidr_v6: str = ""
    default_gateway: str = ""
    default_gateway_v6: str = ""
    default_address_pools: list[AddressPool] = field(default_factory=list)
    default_network_opts: dict[str, dict[str, str]] = field(default_factory=dict)
    dns: list[str] = field(default_factory=list)
    dns_opts: list[str] = field(default_factory=list)
    dns_search: list[str] = field(default_factory=list)
    host_gateway_ips: list[str] = field(default_factory=list)
    ip: str = ""
    ipv6: bool = False
    icc: bool = True
    ip_forward: bool = True
    ip_forward_no_drop: bool = False
    ip_masq: bool = True
    iptables: bool = True
    ip6tables: bool = True
    mtu: int = 0
    userland_proxy: bool = False
    userland_proxy_path: str = ""
    allow_direct_routing: bool = False
    bridge_accept_fwmark: str = ""
    firewall_backend: str = ""
    names_on_default_bridge: bool = True  # container names resolve on the default bridge too
    host_firewall: str = (
        "respect"  # or "accept": whether a published port passes the host's firewall
    )
    network_control_plane_mtu: int = 0
    cluster_store: str = ""
    cluster_store_opts: dict[str, str] = field(default_factory=dict)
    cluster_advertise: str = ""
