"""What this host and daemon can do for containers: looked at once, when the daemon starts."""

from __future__ import annotations

import os
import resource
from pathlib import Path
from typing import TYPE_CHECKING, Final

from moorage.containers.spec_from_config import HostFacts
from moorage.containers.validate_resources import HostResources, parse_set
from moorage.kernel import capability

if TYPE_CHECKING:
    from moorage.kernel.cgroup.hybrid import Host
    from moorage.runtime.service import Runtime

_RECURSIVE_READONLY: Final = (5, 12)  # mount_setattr(2) came with this kernel


def examine(runtime: Runtime) -> tuple[HostFacts, HostResources]:
    """Return the facts; *runtime* is open."""
    cgroups = runtime.fitness.cgroups
    v2 = cgroups.mode == "v2"
    cpus = _set("/sys/devices/system/cpu/online")
    facts = HostFacts(
        cgroup_v2=v2,
        cgroup_driver=runtime.fitness.cgroup_driver,
        cpus=len(cpus),
        capabilities=capability.bounding(),
        rlimit_ceiling=_no_ceiling if "CAP_SYS_RESOURCE" in capability.effective() else _ceiling,
        recursive_readonly=_kernel() >= _RECURSIVE_READONLY,
    )
    resources = HostResources(
        cpus=len(cpus),
        online_cpus=cpus,
        memory_nodes=_set("/sys/devices/system/node/online"),
        swap_limit=cgroups.swap_limit(),
        swappiness=_has(cgroups, "memory", "memory.swappiness"),
        realtime=_has(cgroups, "cpu", "cpu.rt_runtime_us"),
        io_weight=v2 or _has(cgroups, "blkio", "blkio.weight"),
        io_weight_device=_has(cgroups, "blkio", "blkio.weight_device"),
        cgroup_v2=v2,
        cgroup_driver=runtime.fitness.cgroup_driver,
    )
    return facts, resources


def _has(cgroups: Host, controller: str, name: str) -> bool:
    """Whether v1's root group of *controller* has a file of that name."""
    root = cgroups.v1.get(controller)
    return root is not None and (root / name).exists()


def _no_ceiling(_name: str) -> int | None:
    return None


def _ceiling(name: str) -> int | None:
    """Return our own hard limit, above which we may not go; None for none."""
    number = getattr(resource, f"RLIMIT_{name.upper()}", None)
    if number is None:
        return None
    hard = resource.getrlimit(number)[1]
    return None if hard == resource.RLIM_INFINITY else hard


def _set(path: str) -> frozenset[int]:
    return parse_set(_first_line(Path(path))) or frozenset({0})


def _first_line(path: Path) -> str:
    try:
        return path.read_text().strip()
    except OSError:
        return ""


def _kernel() -> tuple[int, ...]:
    release = os.uname().release.partition("-")[0]
    return tuple(int(part) for part in release.split(".")[:2] if part.isdecimal())
