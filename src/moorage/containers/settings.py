"""What the daemon's configuration says about containers that do not say it themselves."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from moorage.kernel.idmap import IdMap
from moorage.spec.engine.hostconfig import Ulimit


@dataclass(frozen=True, slots=True)
class ContainerSettings:
    """Defaults and roots for all containers of one daemon."""

    data_root: Path  # ``containers/<id>`` lives below
    exec_root: Path
    shm_size: int = 64 << 20  # bytes
    ulimits: tuple[Ulimit, ...] = ()
    init: bool = False
    init_path: str = ""  # "" = look for a small init on the host
    log_driver: str = "json-file"
    log_options: dict[str, str] = field(default_factory=dict)
    cgroup_parent: str = ""
    cgroupns_mode: str = ""  # "" = private on cgroup v2, host on v1
    ipc_mode: str = "private"
    seccomp_profile: str = ""  # "" = builtin; else a path or "unconfined"
    no_new_privileges: bool = False
    storage_driver: str = "overlay2"
    shutdown_timeout_s: int = 15
    live_restore: bool = True
    owners: IdMap | None = None  # which users of the host those of containers are; None: the same
