"""From resources to cgroup files."""

from __future__ import annotations

import errno
from collections.abc import Iterable

import pytest

from moorage.kernel.cgroup.contract import Cgroup
from moorage.kernel.cgroup.v1 import V1
from moorage.kernel.cgroup.v2 import V2
from moorage.lib.errors import System
from moorage.runtime import limits
from moorage.runtime.limits import Write
from moorage.spec.oci.runtime import (
    LinuxBlockIO,
    LinuxCPU,
    LinuxMemory,
    LinuxPids,
    LinuxResources,
    LinuxThrottleDevice,
    LinuxWeightDevice,
)

M = 1 << 20
ALL = LinuxResources(
    memory=LinuxMemory(limit=64 * M, swap=96 * M, reservation=32 * M),
    cpu=LinuxCPU(shares=1024, quota=50_000, period=100_000, cpus="0", mems="0"),
    pids=LinuxPids(limit=-1),
    block_io=LinuxBlockIO(
        weight=500,
        weight_device=[
            LinuxWeightDevice(major=8, minor=0, weight=500),
            LinuxWeightDevice(major=8, minor=16, weight=0),
        ],
        throttle_read_bps_device=[LinuxThrottleDevice(major=8, minor=0, rate=M)],
        throttle_write_iops_device=[LinuxThrottleDevice(major=8, minor=0, rate=0)],
    ),
)


def written(writes: Iterable[Write]) -> dict[str, str]:
    """Return what each file gets, one write a line."""
    found: dict[str, str] = {}
    for write in writes:
        found[write.name] = f"{found.get(write.name, '')}{write.value}\n"
    return {name: values.removesuffix("\n") for name, values in found.items()}


def test_v1_files() -> None:
    assert written(limits.plan_v1(ALL)) == {
        "cpu.shares": "1024",
        "cpu.cfs_period_us": "100000",
        "cpu.cfs_quota_us": "50000",
        "cpuset.cpus": "0",
        "cpuset.mems": "0",
        "pids.max": "max",
        "memory.soft_limit_in_bytes": str(32 * M),
        "blkio.bfq.weight": "500",
        "blkio.bfq.weight_device": "8:0 500\n8:16 0",
        "blkio.throttle.read_bps_device": f"8:0 {M}",
        "blkio.throttle.write_iops_device": "8:0 0",
    }


def test_v2_files() -> None:
    assert written(limits.plan_v2(ALL, "max", "max 100000")) == {
        "cpu.weight": "39",
        "cpu.max": "50000 100000",
        "cpuset.cpus": "0",
        "cpuset.mems": "0",
        "memory.max": str(64 * M),
        "memory.swap.max": str(32 * M),
        "memory.low": str(32 * M),
        "pids.max": "max",
        "io.weight": "default 4950\n8:0 4950\n8:16 default",
        "io.max": f"8:0 rbps={M}\n8:0 wiops=max",
    }


def test_v2_keeps_what_is_not_named() -> None:
    quota = LinuxResources(cpu=LinuxCPU(quota=1000))
    assert list(limits.plan_v2(quota, "", "max 20000")) == [Write("cpu", "cpu.max", "1000 20000")]
    swap = LinuxResources(memory=LinuxMemory(swap=100 * M))
    assert [w.value for w in limits.plan_v2(swap, str(64 * M), "")] == [str(36 * M)]
    assert list(limits.plan_v2(LinuxResources(), "", "")) == []


def test_weights_span_the_range() -> None:
    assert (limits.cpu_weight(2), limits.cpu_weight(262144)) == (1, 10000)
    assert (limits.io_weight(10), limits.io_weight(1000)) == (1, 10000)


class Kernel:
    """The kernel's rule for the two limits of v1: memory may never exceed memory and swap."""

    def __init__(self, limit: int, swap: int) -> None:
        self.values = {"memory.limit_in_bytes": limit, "memory.memsw.limit_in_bytes": swap}

    def write(self, _controller: str, name: str, value: str) -> None:
        after = self.values | {name: int(value)}
        if after["memory.limit_in_bytes"] > after["memory.memsw.limit_in_bytes"]:
            raise OSError(errno.EINVAL, "Invalid argument")
        self.values = after


@pytest.mark.parametrize(("start", "end"), [((10, 20), (50, 60)), ((50, 60), (10, 20))])
def test_v1_limits_go_up_and_down(
    start: tuple[int, int], end: tuple[int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    kernel = Kernel(*start)
    group = V1({}, "/x")
    monkeypatch.setattr(group, "write", kernel.write)
    limits.apply(group, LinuxResources(memory=LinuxMemory(limit=end[0], swap=end[1])))
    assert tuple(kernel.values.values()) == end


@pytest.mark.parametrize("version", [1, 2])
def test_refused_limit_is_named(version: int, monkeypatch: pytest.MonkeyPatch) -> None:
    group: Cgroup = V1({}, "/x") if version == 1 else V2(__import__("pathlib").Path("/none"), "/x")

    def refuse(*_: str) -> None:
        raise OSError(errno.EBUSY, "Device or resource busy")

    monkeypatch.setattr(group, "write", refuse)
    with pytest.raises(System, match=r"pids\.max"):
        limits.apply(group, LinuxResources(pids=LinuxPids(limit=5)))
