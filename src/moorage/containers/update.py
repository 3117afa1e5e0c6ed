"""``update``: limits, restart policy, ports, environment and mounts of a container that exists.

Limits and ports change at once, running or not: they belong to the cgroup and to the network. The
environment and mounts are those of the process, and so count from its next start on (``changing``).
"""

from __future__ import annotations

from contextlib import AsyncExitStack
from typing import Final

from msgspec import structs

from moorage.containers import (
    changing,
    devices,
    spec_resources,
    validate_config,
    validate_namespaces,
    validate_resources,
)
from moorage.containers.container import Container
from moorage.containers.parts import Parts
from moorage.containers.record import ContainerRecord, Pending
from moorage.containers.sandbox import request_for
from moorage.containers.state import State
from moorage.lib.errors import Conflict, InvalidParameter
from moorage.lib.failpoint import failpoint
from moorage.networks.ports import parse_port
from moorage.spec.engine.container import ContainerUpdate
from moorage.spec.engine.hostconfig import HostConfig

_LIMITS: Final = (
    "blkio_weight", "cpu_shares", "cpu_period", "cpu_quota", "nano_cpus", "cpuset_cpus",
    "cpuset_mems", "memory", "memory_reservation", "memory_swap", "cpu_realtime_period",
    "cpu_realtime_runtime", "pids_limit",
)  # fmt: skip
_DEVICE_LIMITS: Final = (
    "blkio_weight_device", "blkio_device_read_bps", "blkio_device_write_bps",
    "blkio_device_read_iops", "blkio_device_write_iops",
)  # fmt: skip


_LATER: Final = "The new environment and mounts count from the container's next start on"


async def update(parts: Parts, container: Container, asked: ContainerUpdate) -> list[str]:
    """Change what *asked* names, or nothing; what it leaves 0 stays. Returns warnings.

    Events: ``update``; ``volume create`` for new volumes.
    Raises: InvalidParameter, Conflict (being removed, contradictory), NotFound, System (the kernel
    refuses, a port is taken).
    """
    async with container.lock:
        record = container.record
        if record.state in {State.REMOVING, State.DEAD}:
            raise Conflict(
                f"Cannot update container {record.id}: container is marked for removal and"
                ' cannot be "update"'
            )
        before = container.record.host_config
        wanted = merge(before, asked)
        wanted, warnings = validate_resources.check(wanted, parts.resources)
        if wanted.restart_policy:
            validate_config.check_restart_policy(wanted.restart_policy)
            if before.auto_remove and wanted.restart_policy.name not in {"", "no"}:
                raise InvalidParameter(
                    "Restart policy cannot be updated because AutoRemove is enabled"
                    " for the container"
                )
        if before.network_mode == "host" and asked.port_bindings:
            warnings = [*warnings, validate_config.DISCARDED_PORTS]
        pending = _pending(record, asked)
        if pending is not None:
            await changing.check(parts, record, pending)
        async with AsyncExitStack() as undo:
            await _publish(parts, container, asked, undo)
            if container.alive and _limits_differ(before, wanted):
                limits = structs.replace(
                    asked, memory=asked.memory or before.memory, **_device_limits(before, asked)
                )
                await container.running_task().update(
                    spec_resources.resources(limits, numbers=devices.block_device)
                )
            ports = container.record.host_config.port_bindings
            undo.callback(parts.store.change, container, host_config=before, pending=record.pending)
            parts.store.change(
                container,
                host_config=structs.replace(wanted, port_bindings=ports),
                pending=pending,
            )
            failpoint("containers.update.after_record")
            if pending is not None and container.alive:
                warnings = [*warnings, _LATER]
            elif pending is not None:
                await changing.take_over(parts, container)
            undo.pop_all()
        parts.announce(container, "update")
    return warnings


def _pending(record: ContainerRecord, asked: ContainerUpdate) -> Pending | None:
    """Return all that is to count from the next start on."""
    new = Pending(env=asked.env, binds=asked.binds, mounts=asked.mounts)
    return record.pending if new == Pending() else changing.merge(record.pending, new)


async def _publish(
    parts: Parts, container: Container, asked: ContainerUpdate, undo: AsyncExitStack
) -> None:
    """Publish the ports of *asked*, at once if the container runs.

    The record comes first: after a crash ``recover`` brings the network to what it says.
    """
    if asked.port_bindings is None:
        return
    record = container.record
    exposed: dict[str, dict[str, object]] = {
        "{}/{}".format(*parse_port(key)): {} for key in asked.port_bindings
    }
    config = structs.replace(
        record.config, exposed_ports={**(record.config.exposed_ports or {}), **exposed} or None
    )
    host = structs.replace(record.host_config, port_bindings=asked.port_bindings)
    validate_config.check(config, host)
    validate_namespaces.check(config, host)
    changed = structs.replace(record, config=config, host_config=host)
    parts.networks.validate(request_for(changed, []))
    undo.callback(
        parts.store.change, container, config=record.config, host_config=record.host_config
    )
    parts.store.change(container, config=config, host_config=host)
    failpoint("containers.update.after_ports")
    if container.alive:
        await republish(parts, container)
        undo.push_async_callback(parts.networks.publish, request_for(record, []))


async def republish(parts: Parts, container: Container) -> None:
    """Let the network publish what the record of a running container says; no change is fine.

    Raises: InvalidParameter, System.
    """
    if not container.record.host_config.network_mode.startswith("container:"):
        await parts.networks.publish(request_for(container.record, []))


def _limits_differ(before: HostConfig, wanted: HostConfig) -> bool:
    names = (*_LIMITS, *_DEVICE_LIMITS)
    return any(getattr(before, name) != getattr(wanted, name) for name in names)


def _device_limits(before: HostConfig, asked: HostConfig) -> dict[str, object]:
    """Return what to set for devices: 0, which lifts it, where a limit is asked for no more."""
    limits: dict[str, object] = {}
    for name in _DEVICE_LIMITS:
        wanted = getattr(asked, name)
        if wanted is None:
            continue
        paths = {item.path for item in wanted}
        zero = {"weight": 0} if name == "blkio_weight_device" else {"rate": 0}
        gone = [item for item in getattr(before, name) or () if item.path not in paths]
        limits[name] = [*(structs.replace(item, **zero) for item in gone), *wanted]
    return limits


def merge(before: HostConfig, asked: HostConfig) -> HostConfig:
    """Return *before* with what *asked* names (pure).

    Raises: Conflict, where the two contradict.
    """
    if asked.nano_cpus and (before.cpu_quota or before.cpu_period):
        name = "CPU Quota" if before.cpu_quota else "CPU Period"
        raise Conflict(
            f"Conflicting options: Nano CPUs cannot be updated as {name} has already been set"
        )
    if before.nano_cpus and (asked.cpu_quota or asked.cpu_period):
        name = "CPU Quota" if asked.cpu_quota else "CPU Period"
        raise Conflict(
            f"Conflicting options: {name} cannot be updated as NanoCPUs has already been set"
        )
    changes: dict[str, object] = {
        name: value for name in _LIMITS if (value := getattr(asked, name))
    }
    changes |= {
        name: value or None
        for name in _DEVICE_LIMITS
        if (value := getattr(asked, name)) is not None
    }
    if asked.memory and 0 < before.memory_swap < asked.memory and not asked.memory_swap:
        raise Conflict(
            "Memory limit should be smaller than already set memoryswap limit,"
            " update the memoryswap at the same time"
        )
    if asked.restart_policy and asked.restart_policy.name:
        changes["restart_policy"] = asked.restart_policy
    return structs.replace(before, **changes)
