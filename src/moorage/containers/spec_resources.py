"""Limits of a host configuration as the OCI runtime takes them (pure)."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Final

from msgspec import structs

from moorage.containers.devices import DeviceNumber
from moorage.spec.engine.hostconfig import HostConfig, ThrottleDevice, Ulimit
from moorage.spec.oci.runtime import (
    LinuxBlockIO,
    LinuxCPU,
    LinuxDeviceCgroup,
    LinuxMemory,
    LinuxPids,
    LinuxResources,
    LinuxThrottleDevice,
    LinuxWeightDevice,
    POSIXRlimit,
)

_CFS_PERIOD_US: Final = 100_000
_UNLIMITED: Final = (1 << 64) - 1  # RLIM_INFINITY

Numbers = Callable[[str], DeviceNumber]  # path of a block device -> its numbers


def for_new_group(host: HostConfig) -> HostConfig:
    """Return *host* without what says "no limit": a new group has none, and crun writes -1 raw.

    A limit of memory and swap together is no such thing: without it Docker's default would hold.
    """
    return structs.replace(
        host,
        pids_limit=host.pids_limit if host.pids_limit and host.pids_limit > 0 else None,
        cpu_quota=max(host.cpu_quota, 0),
        memory_swap=max(host.memory_swap, -1),
    )


def resources(
    host: HostConfig, *, numbers: Numbers, devices: list[LinuxDeviceCgroup] | None = None
) -> LinuxResources:
    """Return the cgroup's settings; unset ones are left out, and -1 takes a limit away."""
    return LinuxResources(
        devices=devices,
        memory=_memory(host),
        cpu=_cpu(host),
        pids=LinuxPids(limit=max(host.pids_limit, -1)) if host.pids_limit else None,
        block_io=_block_io(host, numbers),
    )


def _memory(host: HostConfig) -> LinuxMemory | None:
    memory = LinuxMemory(
        limit=host.memory or None,
        reservation=host.memory_reservation or None,
        swap=host.memory_swap or None if host.memory else None,
        swappiness=host.memory_swappiness
        if host.memory_swappiness is not None and host.memory_swappiness >= 0
        else None,
        disable_oom_killer=True if host.oom_kill_disable else None,
    )
    return None if memory == LinuxMemory() else memory


def _cpu(host: HostConfig) -> LinuxCPU | None:
    quota, period = host.cpu_quota or None, host.cpu_period or None
    if host.nano_cpus > 0:
        period = _CFS_PERIOD_US
        quota = host.nano_cpus * period // 1_000_000_000
    cpu = LinuxCPU(
        shares=host.cpu_shares or None,
        quota=quota,
        period=period,
        realtime_runtime=host.cpu_realtime_runtime or None,
        realtime_period=host.cpu_realtime_period or None,
        cpus=host.cpuset_cpus or None,
        mems=host.cpuset_mems or None,
    )
    return None if cpu == LinuxCPU() else cpu


def _block_io(host: HostConfig, numbers: Numbers) -> LinuxBlockIO | None:
    def throttles(devices: Iterable[ThrottleDevice] | None) -> list[LinuxThrottleDevice] | None:
        made = []
        for device in devices or ():
            major, minor = numbers(device.path)
            made.append(LinuxThrottleDevice(major=major, minor=minor, rate=device.rate))
        return made or None

    weights = []
    for item in host.blkio_weight_device or ():
        major, minor = numbers(item.path)
        weights.append(LinuxWeightDevice(major=major, minor=minor, weight=item.weight))
    block_io = LinuxBlockIO(
        weight=host.blkio_weight or None,
        weight_device=weights or None,
        throttle_read_bps_device=throttles(host.blkio_device_read_bps),
        throttle_write_bps_device=throttles(host.blkio_device_write_bps),
        throttle_read_iops_device=throttles(host.blkio_device_read_iops),
        throttle_write_iops_device=throttles(host.blkio_device_write_iops),
    )
    return None if block_io == LinuxBlockIO() else block_io


def rlimits(
    ulimits: Iterable[Ulimit], *, ceiling: Callable[[str], int | None]
) -> list[POSIXRlimit]:
    """Return the limits, none above *ceiling* (None: this daemon may raise the limit freely)."""
    made = []
    for limit in ulimits:
        soft, hard = _number(limit.soft), _number(limit.hard)
        highest = ceiling(limit.name)
        if highest is not None:
            soft, hard = min(soft, highest), min(hard, highest)
        made.append(POSIXRlimit(type=f"RLIMIT_{limit.name.upper()}", hard=hard, soft=soft))
    return made


def _number(value: int) -> int:
    return _UNLIMITED if value == -1 else value
