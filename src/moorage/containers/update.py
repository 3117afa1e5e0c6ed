"""``update``: limits and restart policy of a container, running or not."""

from __future__ import annotations

from typing import Final

from msgspec import structs

from moorage.containers import devices, spec_resources, validate_config, validate_resources
from moorage.containers.container import Container
from moorage.containers.parts import Parts
from moorage.lib.errors import Conflict, InvalidParameter
from moorage.spec.engine.hostconfig import HostConfig

_LIMITS: Final = (
    "blkio_weight", "cpu_shares", "cpu_period", "cpu_quota", "nano_cpus", "cpuset_cpus",
    "cpuset_mems", "memory", "memory_reservation", "memory_swap", "cpu_realtime_period",
    "cpu_realtime_runtime", "pids_limit",
)  # fmt: skip


async def update(parts: Parts, container: Container, asked: HostConfig) -> list[str]:
    """Change what *asked* names; what it leaves 0 stays. Returns warnings.

    Events: ``update``.
    Raises: InvalidParameter, Conflict (being removed, contradictory), System (the kernel refuses).
    """
    async with container.lock:
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
        if container.alive and _limits_differ(before, wanted):
            limits = structs.replace(asked, memory=asked.memory or before.memory)
            await container.running_task().update(
                spec_resources.resources(limits, numbers=devices.block_device)
            )
        parts.store.change(container, host_config=wanted)
        parts.announce(container, "update")
    return warnings


def _limits_differ(before: HostConfig, wanted: HostConfig) -> bool:
    return any(getattr(before, name) != getattr(wanted, name) for name in _LIMITS)


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
    if asked.memory and 0 < before.memory_swap < asked.memory and not asked.memory_swap:
        raise Conflict(
            "Memory limit should be smaller than already set memoryswap limit,"
            " update the memoryswap at the same time"
        )
    if asked.restart_policy and asked.restart_policy.name:
        changes["restart_policy"] = asked.restart_policy
    return structs.replace(before, **changes)
