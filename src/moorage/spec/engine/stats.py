"""Values of the Engine API about resource statistics of a container.

Names and fields are those of its document (1.55).

A list or map that is ``None`` is Go's nil: it is written as ``null``.
"""

from __future__ import annotations

from msgspec import UNSET, Struct, UnsetType, field


class ContainerStatsResponse(Struct, frozen=True, kw_only=True, rename="pascal"):
    """The document's ``ContainerStatsResponse``."""

    id: str | None = field(default=None, name="id")
    name: str | None = field(default=None, name="name")
    os_type: str | None = field(default=None, name="os_type")
    read: str = field(default="", name="read")
    cpu_stats: ContainerCPUStats | None = field(default=None, name="cpu_stats")
    memory_stats: ContainerMemoryStats | None = field(default=None, name="memory_stats")
    networks: dict[str, ContainerNetworkStats] | UnsetType = field(default=UNSET, name="networks")
    pids_stats: ContainerPidsStats | None = field(default=None, name="pids_stats")
    blkio_stats: ContainerBlkioStats | None = field(default=None, name="blkio_stats")
    num_procs: int = field(default=0, name="num_procs")
    storage_stats: ContainerStorageStats | None = field(default=None, name="storage_stats")
    preread: str = field(default="", name="preread")
    precpu_stats: ContainerCPUStats | None = field(default=None, name="precpu_stats")


class ContainerBlkioStats(Struct, frozen=True, kw_only=True, rename="pascal"):
    """The document's ``ContainerBlkioStats``."""

    io_service_bytes_recursive: list[ContainerBlkioStatEntry] | None = field(
        default=None, name="io_service_bytes_recursive"
    )
    io_serviced_recursive: list[ContainerBlkioStatEntry] | None = field(
        default=None, name="io_serviced_recursive"
    )
    io_queue_recursive: list[ContainerBlkioStatEntry] | None = field(
        default=None, name="io_queue_recursive"
    )
    io_service_time_recursive: list[ContainerBlkioStatEntry] | None = field(
        default=None, name="io_service_time_recursive"
    )
    io_wait_time_recursive: list[ContainerBlkioStatEntry] | None = field(
        default=None, name="io_wait_time_recursive"
    )
    io_merged_recursive: list[ContainerBlkioStatEntry] | None = field(
        default=None, name="io_merged_recursive"
    )
    io_time_recursive: list[ContainerBlkioStatEntry] | None = field(
        default=None, name="io_time_recursive"
    )
    sectors_recursive: list[ContainerBlkioStatEntry] | None = field(
        default=None, name="sectors_recursive"
    )


class ContainerBlkioStatEntry(Struct, frozen=True, kw_only=True, rename="pascal"):
    """The document's ``ContainerBlkioStatEntry``."""

    major: int = field(default=0, name="major")
    minor: int = field(default=0, name="minor")
    op: str = field(default="", name="op")
    value: int = field(default=0, name="value")


class ContainerCPUStats(Struct, frozen=True, kw_only=True, rename="pascal", omit_defaults=True):
    """The document's ``ContainerCPUStats``."""

    cpu_usage: ContainerCPUUsage | None = field(default=None, name="cpu_usage")
    system_cpu_usage: int | None = field(default=None, name="system_cpu_usage")
    online_cpus: int | None = field(default=None, name="online_cpus")
    throttling_data: ContainerThrottlingData | None = field(default=None, name="throttling_data")


class ContainerCPUUsage(Struct, frozen=True, kw_only=True, rename="pascal"):
    """The document's ``ContainerCPUUsage``."""

    total_usage: int = field(default=0, name="total_usage")
    percpu_usage: list[int] | UnsetType = field(default=UNSET, name="percpu_usage")
    usage_in_kernelmode: int = field(default=0, name="usage_in_kernelmode")
    usage_in_usermode: int = field(default=0, name="usage_in_usermode")


class ContainerPidsStats(Struct, frozen=True, kw_only=True, rename="pascal", omit_defaults=True):
    """The document's ``ContainerPidsStats``."""

    current: int | None = field(default=None, name="current")
    limit: int | None = field(default=None, name="limit")


class ContainerThrottlingData(Struct, frozen=True, kw_only=True, rename="pascal"):
    """The document's ``ContainerThrottlingData``."""

    periods: int = field(default=0, name="periods")
    throttled_periods: int = field(default=0, name="throttled_periods")
    throttled_time: int = field(default=0, name="throttled_time")


class ContainerMemoryStats(Struct, frozen=True, kw_only=True, rename="pascal", omit_defaults=True):
    """The document's ``ContainerMemoryStats``."""

    usage: int | None = field(default=None, name="usage")
    max_usage: int | None = field(default=None, name="max_usage")
    stats: dict[str, int | None] | None = field(default=None, name="stats")
    failcnt: int | None = field(default=None, name="failcnt")
    limit: int | None = field(default=None, name="limit")
    commitbytes: int | None = field(default=None, name="commitbytes")
    commitpeakbytes: int | None = field(default=None, name="commitpeakbytes")
    privateworkingset: int | None = field(default=None, name="privateworkingset")


class ContainerNetworkStats(Struct, frozen=True, kw_only=True, rename="pascal"):
    """The document's ``ContainerNetworkStats``."""

    rx_bytes: int = field(default=0, name="rx_bytes")
    rx_packets: int = field(default=0, name="rx_packets")
    rx_errors: int = field(default=0, name="rx_errors")
    rx_dropped: int = field(default=0, name="rx_dropped")
    tx_bytes: int = field(default=0, name="tx_bytes")
    tx_packets: int = field(default=0, name="tx_packets")
    tx_errors: int = field(default=0, name="tx_errors")
    tx_dropped: int = field(default=0, name="tx_dropped")


class ContainerStorageStats(Struct, frozen=True, kw_only=True, rename="pascal", omit_defaults=True):
    """The document's ``ContainerStorageStats``."""

    read_count_normalized: int | None = field(default=None, name="read_count_normalized")
    read_size_bytes: int | None = field(default=None, name="read_size_bytes")
    write_count_normalized: int | None = field(default=None, name="write_count_normalized")
    write_size_bytes: int | None = field(default=None, name="write_size_bytes")
