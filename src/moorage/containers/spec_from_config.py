"""From a container's configuration to the OCI runtime specification (pure).

Everything that must be looked at on the host has been looked at by the caller: users, devices,
sources of mounts, the network's namespace.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from moorage.containers import capabilities, environment, spec_mounts, spec_resources
from moorage.containers.devices import GivenDevices, block_device, parse_rules
from moorage.containers.record import ContainerRecord
from moorage.containers.security import Confinement
from moorage.containers.spec_mounts import OwnFile, ReadyMount
from moorage.containers.spec_resources import Numbers
from moorage.containers.validate_namespaces import joined_container
from moorage.kernel import capability
from moorage.runtime import cgrouppath, defaults
from moorage.runtime.cgrouppath import CgroupDriver
from moorage.runtime.userns import UserNamespace, id_mappings
from moorage.runtime.users import Identity
from moorage.spec.engine.hostconfig import HostConfig
from moorage.spec.oci.runtime import (
    VERSION,
    Box,
    Linux,
    LinuxCapabilities,
    LinuxNamespace,
    POSIXRlimit,
    Process,
    Root,
    Spec,
    User,
)

_PING_GROUPS: Final = "net.ipv4.ping_group_range"
INIT_IN_CONTAINER: Final = "/sbin/docker-init"


@dataclass(frozen=True, slots=True)
class HostFacts:
    """What this host and daemon can do; read once at start."""

    cgroup_v2: bool = False
    cgroup_driver: CgroupDriver = "cgroupfs"
    cpus: int = 1
    capabilities: tuple[str, ...] = capability.NAMES  # what the daemon itself may give
    rlimit_ceiling: Callable[[str], int | None] = lambda _name: None
    recursive_readonly: bool = True


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What has been prepared for one start."""

    rootfs: str
    identity: Identity
    hostname: str  # what the container will see as its name
    network_namespace: str | None  # a path to join; None: the host's own
    users: UserNamespace | None = None  # None: the host's own
    sysctls: Mapping[str, str] = field(default_factory=dict)  # those that the networks left to us
    mounts: Sequence[ReadyMount] = ()
    files: Sequence[OwnFile] = ()
    shm_source: str = ""
    tmpfs_modes: Mapping[str, int] = field(default_factory=dict)  # of what is hidden by them
    pid_namespace: str | None = None  # of the container that is joined
    ipc_namespace: str | None = None
    given_devices: GivenDevices = field(default_factory=GivenDevices)
    device_numbers: Numbers = block_device
    links_environment: Sequence[str] = ()
    init: bool = False
    confinement: Confinement = field(default_factory=Confinement)


def build(record: ContainerRecord, around: Surroundings, facts: HostFacts) -> Spec:
    """Return the specification of *record*'s container."""
    host = record.host_config
    return Spec(
        oci_version=VERSION,
        process=_process(record, around, facts),
        root=Root(path=around.rootfs, readonly=host.readonly_rootfs),
        hostname=around.hostname if host.uts_mode != "host" else None,
        domainname=_domainname(record, around),
        mounts=spec_mounts.mounts(
            host,
            ready=around.mounts,
            files=around.files,
            shm_source=around.shm_source,
            writable_cgroups=bool(around.confinement.options.writable_cgroups),
            modes=around.tmpfs_modes,
        ),
        annotations=host.annotations or None,
        linux=_linux(record, around, facts),
    )


def _domainname(record: ContainerRecord, around: Surroundings) -> str | None:
    """Return it where the sysctl cannot be written, which belongs to the host's root."""
    mine = around.users is not None and record.host_config.uts_mode != "host"
    return record.config.domainname or None if mine else None


def granted(host: HostConfig, facts: HostFacts) -> list[str]:
    """Return the capabilities that the container may have."""
    return capabilities.effective(
        host.cap_add or [],
        host.cap_drop or [],
        privileged=host.privileged,
        available=facts.capabilities,
    )


def process_capabilities(names: list[str], identity: Identity) -> LinuxCapabilities:
    """Return the sets for a process of *identity*."""
    return capabilities.sets(names, uid=identity.uid)


def user(identity: Identity) -> User:
    """Return the numbers of *identity*."""
    return User(uid=identity.uid, gid=identity.gid, additional_gids=list(identity.groups) or None)


def process_rlimits(host: HostConfig, facts: HostFacts) -> list[POSIXRlimit] | None:
    """Return the limits of every process of the container."""
    return spec_resources.rlimits(host.ulimits or [], ceiling=facts.rlimit_ceiling) or None


def _process(record: ContainerRecord, around: Surroundings, facts: HostFacts) -> Process:
    config, host = record.config, record.host_config
    args = [record.path, *record.args]
    if around.init:
        args = [INIT_IN_CONTAINER, "--", *args]
    height, width = (host.console_size or [0, 0])[:2]
    return Process(
        terminal=config.tty,
        console_size=Box(height=height, width=width) if config.tty and height and width else None,
        user=user(around.identity),
        args=args,
        env=environment.build(
            config.env or [],
            hostname=around.hostname,
            tty=config.tty,
            links=around.links_environment,
            home=around.identity.home,
        ),
        cwd=config.working_dir or "/",
        capabilities=process_capabilities(granted(host, facts), around.identity),
        rlimits=process_rlimits(host, facts),
        no_new_privileges=around.confinement.no_new_privileges,
        apparmor_profile=around.confinement.apparmor_profile or None,
        oom_score_adj=host.oom_score_adj or None,
        selinux_label=around.confinement.labels.process or None,
    )


def _linux(record: ContainerRecord, around: Surroundings, facts: HostFacts) -> Linux:
    host = record.host_config
    rules = [
        *defaults.device_rules(privileged=host.privileged),
        *around.given_devices.rules,
        *parse_rules(host.device_cgroup_rules or []),
    ]
    return Linux(
        sysctl=_sysctls(record, around) or None,
        resources=spec_resources.resources(
            spec_resources.for_new_group(host), numbers=around.device_numbers, devices=rules
        ),
        cgroups_path=cgrouppath.of(facts.cgroup_driver, host.cgroup_parent, record.id),
        namespaces=_namespaces(host, around),
        uid_mappings=id_mappings(around.users.owners.uids) if around.users else None,
        gid_mappings=id_mappings(around.users.owners.gids) if around.users else None,
        devices=list(around.given_devices.nodes) or None,
        seccomp=around.confinement.seccomp,
        rootfs_propagation=spec_mounts.rootfs_propagation(around.mounts),
        masked_paths=_masked(host, facts),
        readonly_paths=host.readonly_paths,
        mount_label=around.confinement.labels.mount or None,
    )


def _masked(host: HostConfig, facts: HostFacts) -> list[str] | None:
    """The thermal files are hidden with the others, but are no news to who inspects."""
    if not host.masked_paths:
        return None
    thermal = (defaults.THERMAL_THROTTLE.format(n=n) for n in range(facts.cpus))
    return [*host.masked_paths, *thermal]


def _sysctls(record: ContainerRecord, around: Surroundings) -> dict[str, str]:
    """Those of the network namespace are set by who made it."""
    host = record.host_config
    sysctls = dict(around.sysctls)
    if around.users is not None and _PING_GROUPS not in (host.sysctls or {}):
        sysctls.pop(_PING_GROUPS, None)  # set already, of the host's groups: inside not all are
    if record.config.domainname and host.uts_mode != "host" and around.users is None:
        sysctls["kernel.domainname"] = record.config.domainname
    sysctls |= {k: v for k, v in (host.sysctls or {}).items() if not k.startswith("net.")}
    return sysctls


def _namespaces(host: HostConfig, around: Surroundings) -> list[LinuxNamespace]:
    namespaces = [LinuxNamespace(type="mount")]
    if host.pid_mode != "host":
        namespaces.append(LinuxNamespace(type="pid", path=around.pid_namespace))
    if host.ipc_mode != "host":
        namespaces.append(LinuxNamespace(type="ipc", path=around.ipc_namespace))
    if host.uts_mode != "host":
        namespaces.append(LinuxNamespace(type="uts"))
    if around.network_namespace is not None:
        namespaces.append(LinuxNamespace(type="network", path=around.network_namespace))
    if host.cgroupns_mode == "private":
        namespaces.append(LinuxNamespace(type="cgroup"))
    if around.users is not None:
        namespaces.append(LinuxNamespace(type="user", path=around.users.path))
    return namespaces


def wants_init(host: HostConfig, *, default: bool) -> bool:
    """Whether an init is put before the program; one that shares pids with others has none."""
    private = host.pid_mode != "host" and joined_container(host.pid_mode) is None
    return private and (default if host.init is None else host.init)
