"""``stats``: readings of the cgroup and of the network, once or every second."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import TYPE_CHECKING, Final

from msgspec import UNSET, UnsetType, structs

from moorage.lib import clock
from moorage.spec.engine.stats import (
    ContainerBlkioStats,
    ContainerCPUStats,
    ContainerCPUUsage,
    ContainerMemoryStats,
    ContainerNetworkStats,
    ContainerPidsStats,
    ContainerStatsResponse,
    ContainerStorageStats,
    ContainerThrottlingData,
)

if TYPE_CHECKING:
    from moorage.containers.container import Container
    from moorage.containers.parts import Parts

_INTERVAL_S: Final = 1.0
_NO_CPU: Final = ContainerCPUStats(
    cpu_usage=ContainerCPUUsage(), throttling_data=ContainerThrottlingData()
)


async def follow(parts: Parts, container: Container) -> AsyncIterator[ContainerStatsResponse]:
    """Yield readings every second until the container is removed; zeros while it does not run."""
    before: ContainerStatsResponse | None = None
    while parts.store.find(container.id) is container:
        reading = read(container, before)
        yield reading
        before = reading if container.alive else None
        await asyncio.sleep(_INTERVAL_S)


async def once(container: Container, *, one_shot: bool) -> ContainerStatsResponse:
    """Return one reading; unless *one_shot* with the processor time of a second before it."""
    if one_shot or not container.alive:
        return read(container, None)
    before = read(container, None)
    await asyncio.sleep(_INTERVAL_S)
    return read(container, before)


def read(container: Container, before: ContainerStatsResponse | None) -> ContainerStatsResponse:
    """Return a reading now; *before* gives what the rates are computed from."""
    reading = _of_cgroup(container)
    return structs.replace(
        reading,
        id=container.id,
        name=f"/{container.name}",
        os_type="linux",
        storage_stats=ContainerStorageStats(),
        preread=before.read if before else clock.ZERO,
        precpu_stats=before.cpu_stats if before else _NO_CPU,
        networks=_networks(container),
    )


def _of_cgroup(container: Container) -> ContainerStatsResponse:
    if container.task is None or not container.alive:
        return ContainerStatsResponse(
            read=clock.ZERO,
            cpu_stats=_NO_CPU,
            memory_stats=ContainerMemoryStats(),
            pids_stats=ContainerPidsStats(),
            blkio_stats=ContainerBlkioStats(),
        )
    return container.task.stats()


def _networks(container: Container) -> dict[str, ContainerNetworkStats] | UnsetType:
    """Return the counters of its interfaces; on the network of the host it has none of its own."""
    if container.task is None or container.record.host_config.network_mode == "host":
        return UNSET
    try:
        text = Path(f"/proc/{container.task.pid}/net/dev").read_text()
    except OSError:
        return UNSET  # it has just ended
    return parse_net_dev(text) or UNSET


def parse_net_dev(text: str) -> dict[str, ContainerNetworkStats]:
    """Parse /proc/PID/net/dev (pure)."""
    counters: dict[str, ContainerNetworkStats] = {}
    for line in text.splitlines()[2:]:
        name, _, rest = line.partition(":")
        fields = list(map(int, rest.split()))
        if name.strip() == "lo":
            continue
        counters[name.strip()] = ContainerNetworkStats(
            rx_bytes=fields[0],
            rx_packets=fields[1],
            rx_errors=fields[2],
            rx_dropped=fields[3],
            tx_bytes=fields[8],
            tx_packets=fields[9],
            tx_errors=fields[10],
            tx_dropped=fields[11],
        )
    return counters
