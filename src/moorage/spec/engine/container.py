"""Values of the Engine API about containers.

Names and fields are those of its document (1.55).

A list or map that is ``None`` is Go's nil: it is written as ``null``.
"""

from __future__ import annotations

from msgspec import UNSET, Struct, UnsetType, field

from moorage.spec.engine.health import Health, HealthConfig
from moorage.spec.engine.hostconfig import HostConfig, PortBinding
from moorage.spec.engine.image import OCIDescriptor
from moorage.spec.engine.mount import Mount, MountPoint
from moorage.spec.engine.network import EndpointSettings
from moorage.spec.engine.storage import DriverData, Storage
from moorage.spec.gojson import StrSlice


class ContainerConfig(Struct, frozen=True, kw_only=True, rename="pascal"):
    """The document's ``ContainerConfig``."""

    hostname: str = ""
    domainname: str = ""
    user: str = ""
    attach_stdin: bool = False
    attach_stdout: bool = False
    attach_stderr: bool = False
    exposed_ports: dict[str, dict[str, object]] | None = None
    tty: bool = False
    open_stdin: bool = False
    stdin_once: bool = False
    env: list[str] | None = None
    cmd: StrSlice | None = None
    healthcheck: HealthConfig | None = None
    image: str = ""
    volumes: dict[str, dict[str, object]] | None = None
    working_dir: str = ""
    entrypoint: StrSlice | None = None
    network_disabled: bool | None = None
    on_build: list[str] | None = None
    labels: dict[str, str] | None = None
    stop_signal: str | None = None
    stop_timeout: int | None = None
    shell: StrSlice | None = None
    mac_address: str = ""  # the container-wide address of clients before 1.44


class ContainerCreateRequest(ContainerConfig, frozen=True, kw_only=True, rename="pascal"):
    """The document's body of ``ContainerCreate``: a configuration and what the host adds."""

    host_config: HostConfig | None = None
    networking_config: NetworkingConfig | None = None

    def configuration(self) -> ContainerConfig:
        """Return the configuration alone."""
        return ContainerConfig(
            **{name: getattr(self, name) for name in ContainerConfig.__struct_fields__}
        )


class ContainerPruneResponse(Struct, frozen=True, kw_only=True, rename="pascal"):
    """The document's ``ContainerPruneResponse``."""

    containers_deleted: list[str] | None = None
    space_reclaimed: int = 0


class NetworkingConfig(Struct, frozen=True, kw_only=True, rename="pascal"):
    """The document's ``NetworkingConfig``."""

    endpoints_config: dict[str, EndpointSettings] | None = None


class NetworkSettings(Struct, frozen=True, kw_only=True, rename="pascal"):
    """The document's ``NetworkSettings``."""

    sandbox_id: str = field(default="", name="SandboxID")
    sandbox_key: str = ""
    ports: dict[str, list[PortBinding] | None] | None = None
    networks: dict[str, EndpointSettings] | None = None


class Address(Struct, frozen=True, kw_only=True, rename="pascal"):
    """The document's ``Address``."""

    addr: str = ""
    prefix_len: int = 0


class PortSummary(Struct, frozen=True, kw_only=True, rename="pascal"):
    """The document's ``PortSummary``."""

    ip: str | UnsetType = field(default=UNSET, name="IP")
    private_port: int = 0
    public_port: int | UnsetType = UNSET
    type: str = ""


class ContainerPathStat(Struct, frozen=True, kw_only=True, rename="camel"):
    """What ``X-Docker-Container-Path-Stat`` tells of a path."""

    name: str
    size: int
    mode: int  # as Go's os.FileMode
    mtime: str
    link_target: str = ""


class FilesystemChange(Struct, frozen=True, kw_only=True, rename="pascal"):
    """The document's ``FilesystemChange``."""

    path: str = ""
    kind: int = 0


class ContainerState(Struct, frozen=True, kw_only=True, rename="pascal"):
    """The document's ``ContainerState``."""

    status: str = ""
    running: bool = False
    paused: bool = False
    restarting: bool = False
    oom_killed: bool = field(default=False, name="OOMKilled")
    dead: bool = False
    pid: int = 0
    exit_code: int = 0
    error: str = ""
    started_at: str = ""
    finished_at: str = ""
    health: Health | UnsetType = UNSET  # left out where there is no check


class PendingUpdate(Struct, frozen=True, kw_only=True, rename="pascal"):
    """Not in the document: what an update asked for that counts from the next start on."""

    env: list[str] | UnsetType = UNSET
    binds: list[str] | UnsetType = UNSET
    mounts: list[Mount] | UnsetType = UNSET


class ContainerInspectResponse(Struct, frozen=True, kw_only=True, rename="pascal"):
    """The document's ``ContainerInspectResponse``."""

    id: str = ""
    created: str | None = None
    path: str = ""
    args: list[str] | None = None
    state: ContainerState | None = None
    image: str = ""
    resolv_conf_path: str = ""
    hostname_path: str = ""
    hosts_path: str = ""
    log_path: str | None = None
    name: str = ""
    restart_count: int = 0
    driver: str = ""
    platform: str = ""
    image_manifest_descriptor: OCIDescriptor | UnsetType = UNSET
    mount_label: str = ""
    process_label: str = ""
    app_armor_profile: str = ""
    exec_ids: list[str] | None = field(default=None, name="ExecIDs")
    host_config: HostConfig | None = None
    graph_driver: DriverData | None = None
    storage: Storage | UnsetType = UNSET
    size_rw: int | UnsetType = UNSET  # left out unless asked for
    size_root_fs: int | UnsetType = UNSET
    mounts: list[MountPoint] | None = None
    config: ContainerConfig | None = None
    network_settings: NetworkSettings | None = None
    pending_update: PendingUpdate | UnsetType = UNSET


class ContainerSummaryHostConfig(Struct, frozen=True, kw_only=True, rename="pascal"):
    """Part of the document: ``ContainerSummaryHostConfig``."""

    network_mode: str = ""
    annotations: dict[str, str] | UnsetType = UNSET


class ContainerSummaryNetworkSettings(Struct, frozen=True, kw_only=True, rename="pascal"):
    """Part of the document: ``ContainerSummaryNetworkSettings``."""

    networks: dict[str, EndpointSettings] | None = None


class ContainerSummaryHealth(Struct, frozen=True, kw_only=True, rename="pascal"):
    """Part of the document: ``ContainerSummaryHealth``."""

    status: str = ""
    failing_streak: int = 0


class ContainerSummary(Struct, frozen=True, kw_only=True, rename="pascal"):
    """The document's ``ContainerSummary``."""

    id: str = ""
    names: list[str] | None = None
    image: str = ""
    image_id: str = field(default="", name="ImageID")
    image_manifest_descriptor: OCIDescriptor | UnsetType = UNSET
    command: str = ""
    created: int = 0
    ports: list[PortSummary] | None = None
    size_rw: int | UnsetType = UNSET  # left out unless asked for
    size_root_fs: int | UnsetType = UNSET
    labels: dict[str, str] | None = None
    state: str = ""
    status: str = ""
    host_config: ContainerSummaryHostConfig | None = None
    network_settings: ContainerSummaryNetworkSettings | None = None
    mounts: list[MountPoint] | None = None
    health: ContainerSummaryHealth | None = None


class ContainersDiskUsage(Struct, frozen=True, kw_only=True, rename="pascal"):
    """The document's ``ContainersDiskUsage``."""

    active_count: int = 0
    total_count: int = 0
    reclaimable: int = 0
    total_size: int = 0
    items: list[object] | None = None


class ContainerCreateResponse(Struct, frozen=True, kw_only=True, rename="pascal"):
    """The document's ``ContainerCreateResponse``."""

    id: str = ""
    warnings: list[str] | None = None


class ContainerUpdate(HostConfig, frozen=True, kw_only=True, rename="pascal"):
    """The body of an update: of the document limits and the restart policy.

    Beyond it *port_bindings*, *env*, *binds* and *mounts*, each the whole that is wanted; ``None``
    leaves what there is.
    """

    env: list[str] | None = None


class ContainerUpdateResponse(Struct, frozen=True, kw_only=True, rename="pascal"):
    """The document's ``ContainerUpdateResponse``."""

    warnings: list[str] | None = None


class ContainerTopResponse(Struct, frozen=True, kw_only=True, rename="pascal"):
    """The document's ``ContainerTopResponse``."""

    titles: list[str] | None = None
    processes: list[list[str]] | None = None


class ContainerWaitResponse(Struct, frozen=True, kw_only=True, rename="pascal"):
    """The document's ``ContainerWaitResponse``."""

    status_code: int = 0
    error: ContainerWaitExitError | UnsetType = UNSET


class ContainerWaitExitError(Struct, frozen=True, kw_only=True, rename="pascal"):
    """The document's ``ContainerWaitExitError``."""

    message: str = ""


class ProcessConfig(Struct, frozen=True, kw_only=True, rename="pascal"):
    """The document's ``ProcessConfig``."""

    privileged: bool = field(default=False, name="privileged")
    user: str | UnsetType = field(default=UNSET, name="user")
    tty: bool = field(default=False, name="tty")
    entrypoint: str = field(default="", name="entrypoint")
    arguments: list[str] | None = field(default=None, name="arguments")


class IDResponse(Struct, frozen=True, kw_only=True, rename="pascal"):
    """The document's ``IDResponse``."""

    id: str = ""
