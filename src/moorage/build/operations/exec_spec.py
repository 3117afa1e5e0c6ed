"""The OCI specification of a RUN (pure): what a command of a build may do and see.

Nothing of the daemon's own environment reaches the command (CVE-2021-3602).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from msgspec import Struct

from moorage.build.graph import Exec, Limits
from moorage.kernel import capability
from moorage.runtime import cgrouppath, defaults
from moorage.runtime.cgrouppath import CgroupDriver
from moorage.runtime.selinux_label import NO_LABELS, Labels
from moorage.runtime.userns import UserNamespace, id_mappings
from moorage.runtime.users import Identity
from moorage.spec.oci.runtime import (
    VERSION,
    Linux,
    LinuxCapabilities,
    LinuxCPU,
    LinuxMemory,
    LinuxNamespace,
    LinuxResources,
    LinuxSeccomp,
    Mount,
    POSIXRlimit,
    Process,
    Root,
    Spec,
    User,
)

HOSTNAME: Final = "buildkitsandbox"  # what builds under Docker see


class Around(Struct, frozen=True, kw_only=True):
    """What has been prepared for one command."""

    id: str
    root: str
    identity: Identity
    network_namespace: str | None  # None: the host's own
    mounts: Sequence[Mount]  # files of the network and what RUN --mount asks for
    environment: Sequence[str] = ()  # proxies and secrets: seen by the command, remembered nowhere
    cpus: int = 1
    cgroup_v2: bool = False
    cgroup_driver: CgroupDriver = "cgroupfs"
    apparmor_profile: str = ""
    labels: Labels = NO_LABELS  # of SELinux
    users: UserNamespace | None = None  # None: the host's own


def build(command: Exec, limits: Limits, around: Around, filter_: LinuxSeccomp | None) -> Spec:
    """Return the specification."""
    insecure = command.insecure
    names = list(capability.NAMES) if insecure else list(defaults.CAPABILITIES)
    effective = names if around.identity.uid == 0 else []
    user = User(
        uid=around.identity.uid,
        gid=around.identity.gid,
        additional_gids=list(around.identity.groups) or None,
    )
    return Spec(
        oci_version=VERSION,
        process=Process(
            user=user,
            args=list(command.arguments),
            env=environment(command, around),
            cwd=command.directory,
            capabilities=LinuxCapabilities(
                bounding=names, effective=effective, permitted=effective
            ),
            rlimits=[
                POSIXRlimit(type=f"RLIMIT_{u.name.upper()}", hard=u.hard, soft=u.soft)
                for u in limits.ulimits
            ]
            or None,
            apparmor_profile=around.apparmor_profile or None,
            selinux_label=around.labels.process or None,
        ),
        root=Root(path=around.root),
        hostname=command.hostname or HOSTNAME,
        mounts=[
            *defaults.mounts(
                shm_size_bytes=limits.shm_bytes or defaults.SHM_SIZE_BYTES, privileged=insecure
            ),
            *around.mounts,
        ],
        linux=Linux(
            resources=_resources(limits, insecure=insecure),
            cgroups_path=cgrouppath.of(around.cgroup_driver, limits.cgroup_parent, around.id),
            namespaces=_namespaces(around),
            uid_mappings=id_mappings(around.users.owners.uids) if around.users else None,
            gid_mappings=id_mappings(around.users.owners.gids) if around.users else None,
            seccomp=None if insecure else filter_,
            masked_paths=None if insecure else defaults.masked_paths(around.cpus),
            readonly_paths=None if insecure else defaults.readonly_paths(),
            mount_label=around.labels.mount or None,
        ),
    )


def environment(command: Exec, around: Around) -> list[str]:
    """Return the variables of the process: the later of two of one name wins."""
    merged: dict[str, str] = {"HOME": around.identity.home}
    for pair in (*around.environment, *command.environment):
        name, _, value = pair.partition("=")
        merged[name] = value
    return [f"{name}={value}" for name, value in merged.items()]


def _namespaces(around: Around) -> list[LinuxNamespace]:
    namespaces = [LinuxNamespace(type=kind) for kind in ("mount", "pid", "ipc", "uts")]
    if around.network_namespace is not None:
        namespaces.append(LinuxNamespace(type="network", path=around.network_namespace))
    if around.cgroup_v2:
        namespaces.append(LinuxNamespace(type="cgroup"))
    if around.users is not None:
        namespaces.append(LinuxNamespace(type="user", path=around.users.path))
    return namespaces


def _resources(limits: Limits, *, insecure: bool) -> LinuxResources:
    memory = None
    if limits.memory_bytes:
        memory = LinuxMemory(limit=limits.memory_bytes, swap=limits.memory_swap_bytes or None)
    cpu = LinuxCPU(
        shares=limits.cpu_shares or None,
        quota=limits.cpu_quota_us or None,
        period=limits.cpu_period_us or None,
        cpus=limits.cpuset_cpus or None,
        mems=limits.cpuset_mems or None,
    )
    return LinuxResources(
        devices=defaults.device_rules(privileged=insecure),
        memory=memory,
        cpu=None if cpu == LinuxCPU() else cpu,
    )
