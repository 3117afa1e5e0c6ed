"""Statistics of a container in the Engine API's shape."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

from msgspec import UNSET

from moorage.kernel.cgroup.contract import IOEntry, Readings
from moorage.lib import clock
from moorage.spec.engine.stats import (
    ContainerBlkioStatEntry,
    ContainerBlkioStats,
    ContainerCPUStats,
    ContainerCPUUsage,
    ContainerMemoryStats,
    ContainerPidsStats,
    ContainerStatsResponse,
    ContainerThrottlingData,
)

_TICK_NS: Final = 1_000_000_000 // os.sysconf("SC_CLK_TCK")
_HOST_MEMORY: Final = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
_BUSY_FIELDS: Final = 8  # user nice system idle iowait irq softirq steal; guest is in user


def host_cpu_ns() -> int:
    """Return the processor time of the whole host, idle included, as Docker counts it."""
    with Path("/proc/stat").open() as file:
        fields = file.readline().split()
    return sum(map(int, fields[1 : 1 + _BUSY_FIELDS])) * _TICK_NS


def response(readings: Readings) -> ContainerStatsResponse:
    """Return the cgroup's part of the answer; id, name, networks and precpu are the caller's."""
    return ContainerStatsResponse(
        read=clock.rfc3339(clock.now_ns()),
        preread=clock.ZERO,
        cpu_stats=ContainerCPUStats(
            cpu_usage=ContainerCPUUsage(
                total_usage=readings.cpu_total_ns,
                percpu_usage=readings.cpu_each_ns or UNSET,
                usage_in_kernelmode=readings.cpu_system_ns,
                usage_in_usermode=readings.cpu_user_ns,
            ),
            system_cpu_usage=host_cpu_ns(),
            online_cpus=os.cpu_count() or 1,
            throttling_data=ContainerThrottlingData(
                periods=readings.periods,
                throttled_periods=readings.throttled_periods,
                throttled_time=readings.throttled_ns,
            ),
        ),
        memory_stats=ContainerMemoryStats(
            usage=readings.memory_usage,
            max_usage=readings.memory_max_usage,
            stats=dict(readings.memory),
            failcnt=readings.memory_failures or None,
            limit=min(readings.memory_limit or _HOST_MEMORY, _HOST_MEMORY),
        ),
        pids_stats=ContainerPidsStats(current=readings.pids, limit=readings.pids_limit),
        blkio_stats=_io(readings),
    )


def _io(readings: Readings) -> ContainerBlkioStats:
    """Return what is read of disks; v1's other lists are there and empty, v2 has none of them."""
    other: list[ContainerBlkioStatEntry] | None = None if readings.cpu_each_ns is None else []
    return ContainerBlkioStats(
        io_service_bytes_recursive=_entries(readings, "io_service_bytes_recursive"),
        io_serviced_recursive=_entries(readings, "io_serviced_recursive"),
        io_queue_recursive=other,
        io_service_time_recursive=other,
        io_wait_time_recursive=other,
        io_merged_recursive=other,
        io_time_recursive=other,
        sectors_recursive=other,
    )


def _entries(readings: Readings, name: str) -> list[ContainerBlkioStatEntry]:
    entries: list[IOEntry] = readings.io.get(name, [])
    return [
        ContainerBlkioStatEntry(major=e.major, minor=e.minor, op=e.op, value=e.value)
        for e in entries
    ]
