"""Changing limits of a running container: from the specification's resources to files."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from msgspec import Struct

from moorage.kernel.cgroup.contract import Cgroup
from moorage.kernel.cgroup.v2 import V2
from moorage.lib.errors import System
from moorage.spec.oci.runtime import (
    LinuxBlockIO,
    LinuxCPU,
    LinuxMemory,
    LinuxResources,
    LinuxThrottleDevice,
)

_DEFAULT_PERIOD_US = 100_000


class Write(Struct, frozen=True):
    """One file to set."""

    controller: str
    name: str
    value: str


def apply(group: Cgroup, resources: LinuxResources) -> None:
    """Set what *resources* names; other limits stay.

    Raises: System, naming the limit that the kernel refuses.
    """
    if isinstance(group, V2):
        for write in plan_v2(
            resources, group.read("memory", "memory.max"), group.read("cpu", "cpu.max")
        ):
            _write(group, write)
        return
    for write in plan_v1(resources):
        _write(group, write)
    pair = memory_pair_v1(resources)
    try:
        _write_all(group, pair)
    except OSError:  # a limit may never exceed that of memory and swap: so in the other order
        for write in reversed(pair):
            _write(group, write)


def _write_all(group: Cgroup, writes: list[Write]) -> None:
    for write in writes:
        group.write(write.controller, write.name, write.value)


def _write(group: Cgroup, write: Write) -> None:
    try:
        group.write(write.controller, write.name, write.value)
    except OSError as error:
        raise System(
            f"cannot set {write.name} to {write.value}: {error.strerror}",
            hint="it may be lower than what is in use" if error.errno == 16 else None,
        ) from error


def plan_v1(resources: LinuxResources) -> Iterator[Write]:
    """Yield the writes for v1, but for memory and swap (``memory_pair_v1``)."""
    if (cpu := resources.cpu) is not None:
        values = (
            ("cpu", "cpu.shares", cpu.shares),
            ("cpu", "cpu.cfs_period_us", cpu.period),
            ("cpu", "cpu.cfs_quota_us", cpu.quota),
            ("cpu", "cpu.rt_period_us", cpu.realtime_period),
            ("cpu", "cpu.rt_runtime_us", cpu.realtime_runtime),
            ("cpuset", "cpuset.cpus", cpu.cpus or None),
            ("cpuset", "cpuset.mems", cpu.mems or None),
        )
        for controller, name, value in values:
            if value is not None and value != 0:
                yield Write(controller, name, str(value))
    if resources.pids is not None:
        yield Write("pids", "pids.max", _maximum(resources.pids.limit))
    if resources.memory is not None and resources.memory.reservation:
        value = str(resources.memory.reservation)
        yield Write("memory", "memory.soft_limit_in_bytes", value)
    if resources.block_io is not None:
        yield from _block_io_v1(resources.block_io)


def _block_io_v1(block_io: LinuxBlockIO) -> Iterator[Write]:
    """Yield weights and rates; 0 takes away what was set for a device."""
    if block_io.weight:
        yield Write("blkio", "blkio.bfq.weight", str(block_io.weight))
    for item in block_io.weight_device or ():
        value = f"{item.major}:{item.minor} {item.weight or 0}"
        yield Write("blkio", "blkio.bfq.weight_device", value)
    for what, _, devices in _throttles(block_io):
        for device in devices:
            value = f"{device.major}:{device.minor} {device.rate}"
            yield Write("blkio", f"blkio.throttle.{what}_device", value)


def _throttles(
    block_io: LinuxBlockIO,
) -> Iterator[tuple[str, str, Iterable[LinuxThrottleDevice]]]:
    """Yield (v1's name, v2's name, rates of devices)."""
    yield "read_bps", "rbps", block_io.throttle_read_bps_device or ()
    yield "write_bps", "wbps", block_io.throttle_write_bps_device or ()
    yield "read_iops", "riops", block_io.throttle_read_iops_device or ()
    yield "write_iops", "wiops", block_io.throttle_write_iops_device or ()


def memory_pair_v1(resources: LinuxResources) -> list[Write]:
    """Return the writes of the two limits that bound each other."""
    memory = resources.memory
    if memory is None:
        return []
    values = (
        ("memory.limit_in_bytes", memory.limit),
        ("memory.memsw.limit_in_bytes", memory.swap),
    )
    return [Write("memory", name, str(value)) for name, value in values if value]


def plan_v2(resources: LinuxResources, memory_max: str, cpu_max: str) -> Iterator[Write]:
    """Yield the writes for v2; *memory_max* and *cpu_max* are the present contents."""
    if resources.cpu is not None:
        yield from _cpu_v2(resources.cpu, cpu_max)
    if resources.memory is not None:
        yield from _memory_v2(resources.memory, memory_max)
    if resources.pids is not None:
        yield Write("pids", "pids.max", _maximum(resources.pids.limit))
    if resources.block_io is not None:
        yield from _block_io_v2(resources.block_io)


def _block_io_v2(block_io: LinuxBlockIO) -> Iterator[Write]:
    """Yield weights and rates; "default" and "max" take away what was set for a device."""
    if block_io.weight:
        yield Write("io", "io.weight", f"default {io_weight(block_io.weight)}")
    for item in block_io.weight_device or ():
        weight = io_weight(item.weight) if item.weight else "default"
        yield Write("io", "io.weight", f"{item.major}:{item.minor} {weight}")
    for _, what, devices in _throttles(block_io):
        for device in devices:
            value = f"{device.major}:{device.minor} {what}={_maximum(device.rate)}"
            yield Write("io", "io.max", value)


def _cpu_v2(cpu: LinuxCPU, present: str) -> Iterator[Write]:
    if cpu.shares:
        yield Write("cpu", "cpu.weight", str(cpu_weight(cpu.shares)))
    if cpu.quota or cpu.period:
        quota, _, period = (present or "max").partition(" ")
        if cpu.quota:
            quota = _maximum(cpu.quota)
        yield Write("cpu", "cpu.max", f"{quota} {cpu.period or period or _DEFAULT_PERIOD_US}")
    if cpu.cpus:
        yield Write("cpuset", "cpuset.cpus", cpu.cpus)
    if cpu.mems:
        yield Write("cpuset", "cpuset.mems", cpu.mems)


def _memory_v2(memory: LinuxMemory, present: str) -> Iterator[Write]:
    """Yield the limits; v2 counts swap alone where the specification counts both."""
    if memory.swap:
        limit = memory.limit or (int(present) if present.isdigit() else 0)
        value = "max" if memory.swap < 0 else str(max(0, memory.swap - limit))
        yield Write("memory", "memory.swap.max", value)
    if memory.limit:
        yield Write("memory", "memory.max", _maximum(memory.limit))
    if memory.reservation:
        yield Write("memory", "memory.low", _maximum(memory.reservation))


def _maximum(value: int) -> str:
    return str(value) if value > 0 else "max"


def cpu_weight(shares: int) -> int:
    """Return v2's weight (1 to 10000) for v1's shares (2 to 262144)."""
    return 1 + ((shares - 2) * 9999) // 262142


def io_weight(weight: int) -> int:
    """Return v2's weight (1 to 10000) for v1's (10 to 1000)."""
    return 1 + (weight - 10) * 9999 // 990
