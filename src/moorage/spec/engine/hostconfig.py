"""Values of the Engine API about what a container may use of its host.

Names and fields are those of its document (1.55).

A list or map that is ``None`` is Go's nil: it is written as ``null``.
"""

from __future__ import annotations

from msgspec import Struct, field

from moorage.spec.engine.mount import Mount
from moorage.spec.gojson import StrSlice


class DeviceMapping(Struct, frozen=True, kw_only=True, rename="pascal"):
    """The document's ``DeviceMapping``."""

    path_on_host: str = ""
    path_in_container: str = ""
    cgroup_permissions: str = ""


class DeviceRequest(Struct, frozen=True, kw_only=True, rename="pascal"):
    """The document's ``DeviceRequest``."""

    driver: str = ""
    count: int = 0
    device_ids: list[str] | None = field(default=None, name="DeviceIDs")
    capabilities: list[list[str]] | None = None
    options: dict[str, str] | None = None


class ThrottleDevice(Struct, frozen=True, kw_only=True, rename="pascal"):
    """The document's ``ThrottleDevice``."""

    path: str = ""
    rate: int = 0


class RestartPolicy(Struct, frozen=True, kw_only=True, rename="pascal"):
    """The document's ``RestartPolicy``."""

    name: str = ""
    maximum_retry_count: int = 0


class PortBinding(Struct, frozen=True, kw_only=True, rename="pascal"):
    """The document's ``PortBinding``."""

    host_ip: str = ""
    host_port: str = ""


class HostConfigBlkioWeightDeviceItem(Struct, frozen=True, kw_only=True, rename="pascal"):
    """Part of the document: ``HostConfigBlkioWeightDeviceItem``."""

    path: str = ""
    weight: int = 0


class Ulimit(Struct, frozen=True, kw_only=True, rename="pascal"):
    """Part of the document: ``Ulimit``."""

    name: str = ""
    soft: int = 0
    hard: int = 0


class LogConfig(Struct, frozen=True, kw_only=True, rename="pascal"):
    """Part of the document: ``LogConfig``."""

    type: str = ""
    config: dict[str, str] | None = None


class HostConfig(Struct, frozen=True, kw_only=True, rename="pascal"):
    """The document's ``HostConfig``."""

    cpu_shares: int = 0
    memory: int = 0
    cgroup_parent: str = ""
    blkio_weight: int = 0
    blkio_weight_device: list[HostConfigBlkioWeightDeviceItem] | None = None
    blkio_device_read_bps: list[ThrottleDevice] | None = None
    blkio_device_write_bps: list[ThrottleDevice] | None = None
    blkio_device_read_iops: list[ThrottleDevice] | None = field(
        default=None, name="BlkioDeviceReadIOps"
    )
    blkio_device_write_iops: list[ThrottleDevice] | None = field(
        default=None, name="BlkioDeviceWriteIOps"
    )
    cpu_period: int = 0
    cpu_quota: int = 0
    cpu_realtime_period: int = 0
    cpu_realtime_runtime: int = 0
    cpuset_cpus: str = ""
    cpuset_mems: str = ""
    devices: list[DeviceMapping] | None = None
    device_cgroup_rules: list[str] | None = None
    device_requests: list[DeviceRequest] | None = None
    memory_reservation: int = 0
    memory_swap: int = 0
    memory_swappiness: int | None = None
    nano_cpus: int = 0
    oom_kill_disable: bool = False
    init: bool | None = None
    pids_limit: int | None = None
    ulimits: list[Ulimit] | None = None
    binds: list[str] | None = None
    container_id_file: str = field(default="", name="ContainerIDFile")
    log_config: LogConfig | None = None
    network_mode: str = ""
    port_bindings: dict[str, list[PortBinding] | None] | None = None
    restart_policy: RestartPolicy | None = None
    auto_remove: bool = False
    volume_driver: str = ""
    volumes_from: list[str] | None = None
    mounts: list[Mount] | None = None
    console_size: list[int] | None = None
    annotations: dict[str, str] | None = None
    cap_add: StrSlice | None = None
    cap_drop: StrSlice | None = None
    cgroupns_mode: str = ""
    dns: list[str] | None = None
    dns_options: list[str] | None = None
    dns_search: list[str] | None = None
    extra_hosts: list[str] | None = None
    group_add: list[str] | None = None
    ipc_mode: str = ""
    cgroup: str = ""
    links: list[str] | None = None
    oom_score_adj: int = 0
    pid_mode: str = ""
    privileged: bool = False
    publish_all_ports: bool = False
    readonly_rootfs: bool = False
    security_opt: list[str] | None = None
    storage_opt: dict[str, str] | None = None
    tmpfs: dict[str, str] | None = None
    uts_mode: str = field(default="", name="UTSMode")
    userns_mode: str = ""
    shm_size: int = 0
    sysctls: dict[str, str] | None = None
    runtime: str | None = None
    isolation: str = ""
    cpu_count: int = 0  # this and the next three: Windows only, shown as Docker shows them
    cpu_percent: int = 0
    io_maximum_iops: int = field(default=0, name="IOMaximumIOps")
    io_maximum_bandwidth: int = field(default=0, name="IOMaximumBandwidth")
    masked_paths: list[str] | None = None
    readonly_paths: list[str] | None = None
