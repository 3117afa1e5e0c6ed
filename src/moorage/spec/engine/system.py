"""Values of the Engine API about the engine itself: version, info, credentials, progress.

Names and fields are those of its document (1.55).

A list or map that is ``None`` is Go's nil: it is written as ``null``.
"""

from __future__ import annotations

from msgspec import UNSET, Struct, UnsetType, field


class AuthConfig(Struct, frozen=True, kw_only=True, rename="pascal"):
    """The document's ``AuthConfig``."""

    username: str = field(default="", name="username")
    password: str = field(default="", name="password")
    serveraddress: str = field(default="", name="serveraddress")


class AuthResponse(Struct, frozen=True, kw_only=True, rename="pascal"):
    """The document's ``AuthResponse``."""

    status: str = ""
    identity_token: str = ""


class SystemVersionPlatform(Struct, frozen=True, kw_only=True, rename="pascal"):
    """Part of the document: ``SystemVersionPlatform``."""

    name: str = ""


class SystemVersionComponent(Struct, frozen=True, kw_only=True, rename="pascal"):
    """Part of the document: ``SystemVersionComponent``."""

    name: str = ""
    version: str = ""
    details: dict[str, object] | None = None


class SystemVersion(Struct, frozen=True, kw_only=True, rename="pascal"):
    """The document's ``SystemVersion``."""

    platform: SystemVersionPlatform | None = None
    components: list[SystemVersionComponent] | None = None
    version: str = ""
    api_version: str = ""
    min_api_version: str = field(default="", name="MinAPIVersion")
    git_commit: str = ""
    go_version: str = ""
    os: str = ""
    arch: str = ""
    kernel_version: str = ""
    experimental: bool | UnsetType = UNSET  # left out where it is not
    build_time: str | UnsetType = UNSET


class SystemInfoGenericResourceNamedResourceSpec(
    Struct, frozen=True, kw_only=True, rename="pascal"
):
    """Part of the document: ``SystemInfoGenericResourceNamedResourceSpec``."""

    kind: str = ""
    value: str = ""


class SystemInfoGenericResourceDiscreteResourceSpec(
    Struct, frozen=True, kw_only=True, rename="pascal"
):
    """Part of the document: ``SystemInfoGenericResourceDiscreteResourceSpec``."""

    kind: str = ""
    value: int = 0


class SystemInfoGenericResource(Struct, frozen=True, kw_only=True, rename="pascal"):
    """Part of the document: ``SystemInfoGenericResource``."""

    named_resource_spec: SystemInfoGenericResourceNamedResourceSpec | None = None
    discrete_resource_spec: SystemInfoGenericResourceDiscreteResourceSpec | None = None


class SystemInfoDefaultAddressPool(Struct, frozen=True, kw_only=True, rename="pascal"):
    """Part of the document: ``SystemInfoDefaultAddressPool``."""

    base: str = ""
    size: int = 0


class SystemInfo(Struct, frozen=True, kw_only=True, rename="pascal"):
    """The document's ``SystemInfo``."""

    id: str = field(default="", name="ID")
    containers: int = 0
    containers_running: int = 0
    containers_paused: int = 0
    containers_stopped: int = 0
    images: int = 0
    driver: str = ""
    driver_status: list[list[str]] | None = None
    docker_root_dir: str = ""
    plugins: PluginsInfo | None = None
    memory_limit: bool = False
    swap_limit: bool = False
    cpu_cfs_period: bool = False
    cpu_cfs_quota: bool = False
    cpu_shares: bool = field(default=False, name="CPUShares")
    cpu_set: bool = field(default=False, name="CPUSet")
    pids_limit: bool = False
    oom_kill_disable: bool = False
    ipv4_forwarding: bool = field(default=False, name="IPv4Forwarding")
    debug: bool = False
    n_fd: int = 0
    n_goroutines: int = 0
    system_time: str = ""
    logging_driver: str = ""
    cgroup_driver: str = ""
    cgroup_version: str = ""
    n_events_listener: int = 0
    kernel_version: str = ""
    operating_system: str = ""
    os_version: str = field(default="", name="OSVersion")
    os_type: str = field(default="", name="OSType")
    architecture: str = ""
    ncpu: int = field(default=0, name="NCPU")
    mem_total: int = 0
    index_server_address: str = ""
    registry_config: RegistryServiceConfig | None = None
    generic_resources: list[SystemInfoGenericResource] | None = None
    http_proxy: str = ""
    https_proxy: str = ""
    no_proxy: str = ""
    name: str = ""
    labels: list[str] | None = None
    experimental_build: bool = False
    server_version: str = ""
    runtimes: dict[str, Runtime] | None = None
    default_runtime: str = ""
    swarm: SwarmInfo | None = None
    live_restore_enabled: bool = False
    isolation: str = ""
    init_binary: str = ""
    containerd_commit: Commit | None = None
    runc_commit: Commit | None = None
    init_commit: Commit | None = None
    security_options: list[str] | None = None
    default_address_pools: list[SystemInfoDefaultAddressPool] | UnsetType = UNSET
    firewall_backend: FirewallInfo | None = None
    discovered_devices: list[DeviceInfo] | UnsetType = UNSET
    nri: NRIInfo | None = field(default=None, name="NRI")
    warnings: list[str] | None = None
    cdi_spec_dirs: list[str] | None = field(default=None, name="CDISpecDirs")
    containerd: ContainerdInfo | None = None


class ContainerdInfoNamespaces(Struct, frozen=True, kw_only=True, rename="pascal"):
    """Part of the document: ``ContainerdInfoNamespaces``."""

    containers: str = ""
    plugins: str = ""


class ContainerdInfo(Struct, frozen=True, kw_only=True, rename="pascal"):
    """The document's ``ContainerdInfo``."""

    address: str = ""
    namespaces: ContainerdInfoNamespaces | None = None


class FirewallInfo(Struct, frozen=True, kw_only=True, rename="pascal"):
    """The document's ``FirewallInfo``."""

    driver: str = ""
    info: list[list[str]] | None = None


class PluginsInfo(Struct, frozen=True, kw_only=True, rename="pascal"):
    """The document's ``PluginsInfo``."""

    volume: list[str] | None = None
    network: list[str] | None = None
    authorization: list[str] | None = None
    log: list[str] | None = None


class RegistryServiceConfig(Struct, frozen=True, kw_only=True, rename="pascal"):
    """The document's ``RegistryServiceConfig``."""

    insecure_registry_cid_rs: list[str] | None = field(default=None, name="InsecureRegistryCIDRs")
    index_configs: dict[str, IndexInfo] | None = None
    mirrors: list[str] | None = None


class IndexInfo(Struct, frozen=True, kw_only=True, rename="pascal"):
    """The document's ``IndexInfo``."""

    name: str = ""
    mirrors: list[str] | None = None
    secure: bool = False
    official: bool = False


class Runtime(Struct, frozen=True, kw_only=True, rename="pascal"):
    """The document's ``Runtime``."""

    path: str = field(default="", name="path")
    runtime_args: list[str] | UnsetType = field(default=UNSET, name="runtimeArgs")
    status: dict[str, str] | None = field(default=None, name="status")


class Commit(Struct, frozen=True, kw_only=True, rename="pascal"):
    """The document's ``Commit``."""

    id: str = field(default="", name="ID")


class SwarmInfo(Struct, frozen=True, kw_only=True, rename="pascal"):
    """The document's ``SwarmInfo``."""

    node_id: str = field(default="", name="NodeID")
    node_addr: str = ""
    local_node_state: str = ""
    control_available: bool = False
    error: str = ""
    remote_managers: list[PeerNode] | None = None


class PeerNode(Struct, frozen=True, kw_only=True, rename="pascal"):
    """The document's ``PeerNode``."""

    node_id: str = field(default="", name="NodeID")
    addr: str = ""


class DeviceInfo(Struct, frozen=True, kw_only=True, rename="pascal"):
    """The document's ``DeviceInfo``."""

    source: str = ""
    id: str = field(default="", name="ID")


class NRIInfo(Struct, frozen=True, kw_only=True, rename="pascal"):
    """The document's ``NRIInfo``."""

    info: list[list[str]] | None = None


class ErrorResponse(Struct, frozen=True, kw_only=True, rename="pascal"):
    """The document's ``ErrorResponse``."""

    message: str = field(default="", name="message")


class ErrorDetail(Struct, frozen=True, kw_only=True, rename="pascal"):
    """The document's ``ErrorDetail``."""

    code: int = field(default=0, name="code")
    message: str = field(default="", name="message")


class ProgressDetail(Struct, frozen=True, kw_only=True, rename="pascal"):
    """The document's ``ProgressDetail``."""

    current: int = field(default=0, name="current")
    total: int = field(default=0, name="total")


class CreateImageInfo(Struct, frozen=True, kw_only=True, rename="pascal"):
    """The document's ``CreateImageInfo``."""

    id: str = field(default="", name="id")
    error_detail: ErrorDetail | None = field(default=None, name="errorDetail")
    status: str = field(default="", name="status")
    progress_detail: ProgressDetail | None = field(default=None, name="progressDetail")


class PushImageInfo(Struct, frozen=True, kw_only=True, rename="pascal"):
    """The document's ``PushImageInfo``."""

    error_detail: ErrorDetail | None = field(default=None, name="errorDetail")
    status: str = field(default="", name="status")
    progress_detail: ProgressDetail | None = field(default=None, name="progressDetail")
