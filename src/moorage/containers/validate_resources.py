"""Limits that cannot be, with Docker's sentences; and limits this host cannot keep (pure)."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from msgspec import structs

from moorage.lib.errors import InvalidParameter
from moorage.runtime import cgrouppath
from moorage.runtime.cgrouppath import CgroupDriver
from moorage.spec.engine.hostconfig import HostConfig, Ulimit

_MINIMUM_MEMORY: Final = 6 << 20
_CPU_SET: Final = re.compile(r"\d+(-\d+)?\Z")
_CGROUP_PARENT: Final = re.compile(r"[^\x00-\x1f\x7f]{0,1024}\Z")
_ULIMIT_NAMES: Final = """
core cpu data fsize locks memlock msgqueue nice nofile nproc rss rtprio rttime sigpending stack
"""
ULIMITS: Final = frozenset(_ULIMIT_NAMES.split())


@dataclass(frozen=True, slots=True)
class HostResources:
    """What this host offers to limit with."""

    cpus: int
    online_cpus: frozenset[int]
    memory_nodes: frozenset[int]
    swap_limit: bool = True
    swappiness: bool = True
    realtime: bool = False  # whether processor time can be given to real-time processes
    io_weight: bool = True
    io_weight_device: bool = True
    cgroup_v2: bool = False
    cgroup_driver: CgroupDriver = "cgroupfs"


def check(host: HostConfig, resources: HostResources) -> tuple[HostConfig, list[str]]:
    """Refuse what cannot be; return the configuration without what this host cannot do, and why.

    Raises: InvalidParameter.
    """
    warnings: list[str] = []
    _check_memory(host)
    _check_cpu(host, resources)
    _check_block_io(host)
    _check_other(host)
    cgrouppath.check_parent(resources.cgroup_driver, host.cgroup_parent)
    host = _without_unsupported(host, resources, warnings)
    if resources.cgroup_v2 and host.oom_kill_disable:
        warnings.append("Your kernel does not support OomKillDisable. OomKillDisable discarded.")
        host = structs.replace(host, oom_kill_disable=False)
    elif host.oom_kill_disable and not host.memory:
        warnings.append(
            "OOM killer is disabled for the container, but no memory limit is set,"
            " this can result in the system running out of resources."
        )
    return host, warnings


def _without_unsupported(
    host: HostConfig, resources: HostResources, warnings: list[str]
) -> HostConfig:
    """Discard what this host has no file for, with Docker's warnings."""
    if host.cpu_percent > 0:
        warnings.append("linux does not support CPU percent. Percent discarded.")
        host = structs.replace(host, cpu_percent=0)
    lacks = "Your kernel does not support {} or the cgroup is not mounted. {}"
    if host.memory_swap > 0 and not resources.swap_limit:
        warnings.append(lacks.format("swap limit capabilities", "Memory limited without swap."))
        host = structs.replace(host, memory_swap=-1)
    if host.memory_swappiness not in {None, -1} and not resources.swappiness:  # -1: as it is
        what = "memory swappiness capabilities"
        warnings.append(lacks.format(what, "Memory swappiness discarded."))
        host = structs.replace(host, memory_swappiness=None)
    if host.blkio_weight and not resources.io_weight:
        warnings.append(lacks.format("Block I/O weight", "Weight discarded."))
        host = structs.replace(host, blkio_weight=0)
    if host.blkio_weight_device and not resources.io_weight_device:
        warnings.append(lacks.format("Block I/O weight_device", "Weight-device discarded."))
        host = structs.replace(host, blkio_weight_device=None)
    return host


def _check_memory(host: HostConfig) -> None:
    memory, swap, reservation = host.memory, host.memory_swap, host.memory_reservation
    if 0 != memory < _MINIMUM_MEMORY:
        raise InvalidParameter("Minimum memory limit allowed is 6MB")
    if memory and 0 < swap < memory:
        raise InvalidParameter(
            "Minimum memoryswap limit should be larger than memory limit, see usage"
        )
    if not memory and swap > 0:
        raise InvalidParameter(
            "You should always set the Memory limit when using Memoryswap limit, see usage"
        )
    swappiness = -1 if host.memory_swappiness is None else host.memory_swappiness
    if not -1 <= swappiness <= 100:
        raise InvalidParameter(
            f"Invalid value: {swappiness}, valid memory swappiness range is 0-100"
        )
    if 0 != reservation < _MINIMUM_MEMORY:
        raise InvalidParameter("Minimum memory reservation allowed is 6MB")
    if memory and reservation and memory < reservation:
        raise InvalidParameter(
            "Minimum memory limit can not be less than memory reservation limit, see usage"
        )


def _check_cpu(host: HostConfig, resources: HostResources) -> None:
    if host.nano_cpus:
        for name, value in (("Period", host.cpu_period), ("Quota", host.cpu_quota)):
            if value:
                raise InvalidParameter(
                    f"Conflicting options: Nano CPUs and CPU {name} cannot both be set"
                )
        if not 0 <= host.nano_cpus <= resources.cpus * 1_000_000_000:
            raise InvalidParameter(
                f"Range of CPUs is from 0.01 to {resources.cpus}.00,"
                f" as there are only {resources.cpus} CPUs available"
            )
    if host.cpu_shares < 0:
        raise InvalidParameter(
            f"invalid CPU shares ({host.cpu_shares}): value must be a positive integer"
        )
    if (host.cpu_realtime_period or host.cpu_realtime_runtime) and not resources.realtime:
        raise InvalidParameter("Your kernel does not support CPU real-time scheduler")
    if 0 < host.cpu_realtime_period < host.cpu_realtime_runtime:
        raise InvalidParameter("cpu real-time runtime cannot be higher than cpu real-time period")
    if host.cpu_period and not 1000 <= host.cpu_period <= 1_000_000:
        raise InvalidParameter(
            "CPU cfs period can not be less than 1ms (i.e. 1000) or larger than 1s (i.e. 1000000)"
        )
    if 0 < host.cpu_quota < 1000:
        raise InvalidParameter("CPU cfs quota can not be less than 1ms (i.e. 1000)")
    _check_set(host.cpuset_cpus, "CPUs", "cpus", resources.online_cpus)
    _check_set(host.cpuset_mems, "memory nodes", "mems", resources.memory_nodes)


def _check_set(text: str, noun: str, file: str, available: frozenset[int]) -> None:
    if not text:
        return
    wanted = parse_set(text)
    if wanted is None:
        raise InvalidParameter(f"Invalid value {text} for cpuset {file}: invalid format: {text}")
    if not wanted <= available:
        raise InvalidParameter(
            f"Requested {noun} are not available - requested {text},"
            f" available: {format_set(available)}"
        )


def parse_set(text: str) -> frozenset[int] | None:
    """Parse the kernel's ``0-3,7``; None if it is not such a list."""
    numbers: set[int] = set()
    for part in text.split(","):
        if not _CPU_SET.match(part):
            return None
        first, _, last = part.partition("-")
        low, high = int(first), int(last or first)
        if high < low or high > 8192:
            return None
        numbers.update(range(low, high + 1))
    return frozenset(numbers)


def format_set(numbers: frozenset[int]) -> str:
    """Write a set of numbers as the kernel does."""
    parts: list[str] = []
    ordered = sorted(numbers)
    for number in ordered:
        if number - 1 in numbers:
            continue
        last = number
        while last + 1 in numbers:
            last += 1
        parts.append(str(number) if last == number else f"{number}-{last}")
    return ",".join(parts)


def _check_block_io(host: HostConfig) -> None:
    windows = ((host.io_maximum_iops, "IOPs"), (host.io_maximum_bandwidth, "bandwidth"))
    for asked, what in windows:
        if asked:
            raise InvalidParameter(
                f"Invalid QoS settings: linux does not support configuration of maximum {what}"
            )
    if host.blkio_weight and not 10 <= host.blkio_weight <= 1000:
        raise InvalidParameter("Range of blkio weight is from 10 to 1000")
    for item in host.blkio_weight_device or []:
        if not 10 <= item.weight <= 1000:
            raise InvalidParameter(
                f"invalid value for device weight of {item.path}: range is from 10 to 1000"
            )
    throttles = (
        *(host.blkio_device_read_bps or []),
        *(host.blkio_device_write_bps or []),
        *(host.blkio_device_read_iops or []),
        *(host.blkio_device_write_iops or []),
    )
    for device in throttles:
        if device.rate < 0 or not device.path.startswith("/dev/"):
            raise InvalidParameter(f"bad format for device path or rate: {device.path}")


def _check_other(host: HostConfig) -> None:
    if host.shm_size < 0:
        raise InvalidParameter("SHM size can not be less than 0")
    if not -1000 <= host.oom_score_adj <= 1000:
        raise InvalidParameter(
            f"Invalid value {host.oom_score_adj}, range for oom score adj is [-1000, 1000]"
        )
    for limit in host.ulimits or []:
        _check_ulimit(limit)
    for key in host.sysctls or {}:
        if not key or "\0" in key or ".." in key or key.startswith("/"):
            raise InvalidParameter(f"invalid sysctl: {key!r}")
    if not _CGROUP_PARENT.match(host.cgroup_parent) or ".." in host.cgroup_parent.split("/"):
        raise InvalidParameter(f"invalid cgroup parent: {host.cgroup_parent!r}")
    for key in host.storage_opt or {}:
        if key != "size":
            raise InvalidParameter(f"unknown option {key}")


def _check_ulimit(limit: Ulimit) -> None:
    if limit.name not in ULIMITS:
        raise InvalidParameter(f"invalid ulimit type: {limit.name}")
    if limit.hard != -1 and (limit.soft > limit.hard or limit.soft == -1):
        raise InvalidParameter(
            "ulimit soft limit must be less than or equal to hard limit:"
            f" {limit.soft} > {limit.hard}"
        )
