"""Is this host fit for its OCI runtime: the hybrid trap of control groups, and which are there."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Final

from msgspec import Struct

from moorage.kernel import spawn
from moorage.kernel.cgroup import hybrid, systemd
from moorage.lib.errors import InvalidParameter, System
from moorage.runtime import cgrouppath, oci
from moorage.runtime.contract import RuntimeConfig

BUILT_IN: Final = {
    "crun": RuntimeConfig(path="crun"),
    "runc": RuntimeConfig(path="runc"),
}


class Fitness(Struct, frozen=True, kw_only=True):
    """What was found and done."""

    cgroups: hybrid.Host
    runtimes: dict[str, oci.OciRuntime]  # those whose program exists
    default: str
    cgroup_driver: cgrouppath.CgroupDriver
    warnings: list[str]


def examine(
    configured: Mapping[str, RuntimeConfig], default: str, root: Path, *, cgroup_driver: str = ""
) -> Fitness:
    """Find the runtimes, mend the cgroup hierarchies if crun is to run, choose the defaults.

    Blocking. *root* is where the runtimes keep their state; *cgroup_driver* "" is for us to choose.
    Raises: InvalidParameter (default runtime not configured, systemd asked for where it is not),
    System (no runtime at all).
    """
    warnings: list[str] = []
    wanted = {**BUILT_IN, **configured}
    if default not in wanted:
        raise InvalidParameter(f"specified default runtime '{default}' does not exist")
    cgroups = hybrid.host()
    driver = cgrouppath.choose(cgroup_driver, unified=cgroups.mode == "v2", booted=systemd.runs())
    found = {
        name: oci.make(name, config, path, root, systemd=driver == "systemd")
        for name, config in wanted.items()
        if (path := spawn.find(config.path)) is not None
    }
    for runtime in found.values():
        Path(runtime.root).mkdir(mode=0o700, parents=True, exist_ok=True)
    usable = dict(found)
    if cgroups.stray and any(runtime.is_crun for runtime in found.values()):
        cgroups = _mend(cgroups, warnings)
        if cgroups.stray:
            usable = {name: runtime for name, runtime in found.items() if not runtime.is_crun}
    if default not in usable:
        fallback = next(iter(usable), None)
        if fallback is None:
            raise System(
                f"no OCI runtime can be used here: {', '.join(wanted)}", hint="install crun or runc"
            )
        reason = "cannot be used here" if default in found else "is not installed"
        warnings.append(f"runtime {default} {reason}: using {fallback}")
        default = fallback
    return Fitness(
        cgroups=cgroups,
        runtimes=usable,
        default=default,
        cgroup_driver=driver,
        warnings=warnings,
    )


def _mend(found: hybrid.Host, warnings: list[str]) -> hybrid.Host:
    names = ", ".join(found.stray)
    assert found.v2 is not None  # noqa: S101 - a hybrid has both
    if hybrid.in_use(found.v2):
        warnings.append(f"cgroup controllers {names} are in use on the v2 tree: crun cannot run")
        return found
    try:
        mended = hybrid.take_strays(found)
    except OSError as error:
        warnings.append(f"cannot mount cgroup controllers {names} as v1 for crun: {error}")
        return found
    warnings.append(f"mounted cgroup controllers {names} as v1: crun refuses them on v2")
    return mended
