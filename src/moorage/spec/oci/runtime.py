"""The OCI runtime specification 1.2 (``config.json``): names and order of its fields.

Fields that hold their default are left out of the JSON, as runtimes expect. ``None`` is "not set";
a required field of the specification has no default here and is always written.
"""

from __future__ import annotations

from typing import Final

from msgspec import Struct, field

VERSION: Final = "1.0.2"  # what is written: understood by every runtime in use, old crun included


class Root(Struct, frozen=True, kw_only=True, omit_defaults=True, rename="camel"):
    """The container's root file system."""

    path: str
    readonly: bool = False


class Mount(Struct, frozen=True, kw_only=True, omit_defaults=True, rename="camel"):
    """One mount, made in the order of the list."""

    destination: str
    type: str | None = None
    source: str | None = None
    options: list[str] | None = None
    uid_mappings: list[LinuxIDMapping] | None = None
    gid_mappings: list[LinuxIDMapping] | None = None


class Box(Struct, frozen=True, kw_only=True, omit_defaults=True, rename="camel"):
    """Size of a console in characters."""

    height: int
    width: int


class User(Struct, frozen=True, kw_only=True, omit_defaults=True, rename="camel"):
    """Identity of a process, in numbers of the container."""

    uid: int
    gid: int
    umask: int | None = None
    additional_gids: list[int] | None = None


class LinuxCapabilities(Struct, frozen=True, kw_only=True, omit_defaults=True, rename="camel"):
    """The five sets, as ``CAP_…`` names.

    *inheritable* stays empty (CVE-2022-24769).
    """

    bounding: list[str] | None = None
    effective: list[str] | None = None
    inheritable: list[str] | None = None
    permitted: list[str] | None = None
    ambient: list[str] | None = None


class POSIXRlimit(Struct, frozen=True, kw_only=True, omit_defaults=True, rename="camel"):
    """One limit such as ``RLIMIT_NOFILE``."""

    type: str
    hard: int
    soft: int


class LinuxIOPriority(Struct, frozen=True, kw_only=True, omit_defaults=True, rename="camel"):
    """I/O scheduling class and priority."""

    io_class: str = field(name="class")
    priority: int = 0


class Process(Struct, frozen=True, kw_only=True, omit_defaults=True, rename="camel"):
    """The process of a container, or one executed in it."""

    terminal: bool = False
    console_size: Box | None = None
    user: User
    args: list[str]
    env: list[str] | None = None
    cwd: str
    capabilities: LinuxCapabilities | None = None
    rlimits: list[POSIXRlimit] | None = None
    no_new_privileges: bool = False
    apparmor_profile: str | None = None
    oom_score_adj: int | None = None
    selinux_label: str | None = None
    io_priority: LinuxIOPriority | None = None


class Hook(Struct, frozen=True, kw_only=True, omit_defaults=True, rename="camel"):
    """A program of the host run at a point of the container's life."""

    path: str
    args: list[str] | None = None
    env: list[str] | None = None
    timeout: int | None = None  # seconds


class Hooks(Struct, frozen=True, kw_only=True, omit_defaults=True, rename="camel"):
    """The hooks, by point of life."""

    prestart: list[Hook] | None = None
    create_runtime: list[Hook] | None = None
    create_container: list[Hook] | None = None
    start_container: list[Hook] | None = None
    poststart: list[Hook] | None = None
    poststop: list[Hook] | None = None


class LinuxNamespace(Struct, frozen=True, kw_only=True, omit_defaults=True, rename="camel"):
    """A namespace to make (no *path*) or to join: pid network mount ipc uts user cgroup time."""

    type: str
    path: str | None = None


class LinuxIDMapping(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A range of user or group ids."""

    container_id: int = field(name="containerID")
    host_id: int = field(name="hostID")
    size: int


class LinuxDevice(Struct, frozen=True, kw_only=True, omit_defaults=True, rename="camel"):
    """A device node to make: *type* is c, b, u or p."""

    path: str
    type: str
    major: int = 0
    minor: int = 0
    file_mode: int | None = None
    uid: int | None = None
    gid: int | None = None


class LinuxDeviceCgroup(Struct, frozen=True, kw_only=True, omit_defaults=True, rename="camel"):
    """One rule of the device controller; an absent number means all."""

    allow: bool
    type: str | None = None  # a (all), c, b
    major: int | None = None
    minor: int | None = None
    access: str | None = None  # of r, w, m


class LinuxMemory(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Memory controller, in bytes; -1 is unlimited."""

    limit: int | None = None
    reservation: int | None = None
    swap: int | None = None  # memory and swap together
    kernel: int | None = None
    kernel_tcp: int | None = field(default=None, name="kernelTCP")
    swappiness: int | None = None
    disable_oom_killer: bool | None = field(default=None, name="disableOOMKiller")


class LinuxCPU(Struct, frozen=True, kw_only=True, omit_defaults=True, rename="camel"):
    """CPU and cpuset controllers; times in microseconds."""

    shares: int | None = None
    quota: int | None = None
    period: int | None = None
    realtime_runtime: int | None = None
    realtime_period: int | None = None
    cpus: str | None = None
    mems: str | None = None


class LinuxPids(Struct, frozen=True, kw_only=True, omit_defaults=True, rename="camel"):
    """Pids controller; -1 is unlimited."""

    limit: int


class LinuxWeightDevice(Struct, frozen=True, kw_only=True, omit_defaults=True, rename="camel"):
    """Block I/O weight of one device."""

    major: int
    minor: int
    weight: int | None = None


class LinuxThrottleDevice(Struct, frozen=True, kw_only=True, omit_defaults=True, rename="camel"):
    """Rate limit of one device, in bytes or operations a second."""

    major: int
    minor: int
    rate: int


class LinuxBlockIO(Struct, frozen=True, kw_only=True, omit_defaults=True, rename="camel"):
    """Block I/O controller."""

    weight: int | None = None
    weight_device: list[LinuxWeightDevice] | None = None
    throttle_read_bps_device: list[LinuxThrottleDevice] | None = None
    throttle_write_bps_device: list[LinuxThrottleDevice] | None = None
    throttle_read_iops_device: list[LinuxThrottleDevice] | None = field(
        default=None, name="throttleReadIOPSDevice"
    )
    throttle_write_iops_device: list[LinuxThrottleDevice] | None = field(
        default=None, name="throttleWriteIOPSDevice"
    )


class LinuxHugepageLimit(Struct, frozen=True, kw_only=True, omit_defaults=True, rename="camel"):
    """Limit of one huge page size, such as ``2MB``."""

    page_size: str
    limit: int


class LinuxResources(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What the container's cgroup is set to."""

    devices: list[LinuxDeviceCgroup] | None = None
    memory: LinuxMemory | None = None
    cpu: LinuxCPU | None = None
    pids: LinuxPids | None = None
    block_io: LinuxBlockIO | None = field(default=None, name="blockIO")
    hugepage_limits: list[LinuxHugepageLimit] | None = field(default=None, name="hugepageLimits")
    unified: dict[str, str] | None = None


class LinuxSeccompArg(Struct, frozen=True, kw_only=True, omit_defaults=True, rename="camel"):
    """A condition on one argument of a system call (op: ``SCMP_CMP_…``)."""

    index: int
    value: int
    value_two: int = 0
    op: str


class LinuxSyscall(Struct, frozen=True, kw_only=True, omit_defaults=True, rename="camel"):
    """A rule: all *args* must hold."""

    names: list[str]
    action: str
    errno_ret: int | None = None
    args: list[LinuxSeccompArg] | None = None


class LinuxSeccomp(Struct, frozen=True, kw_only=True, omit_defaults=True, rename="camel"):
    """A seccomp filter."""

    default_action: str
    default_errno_ret: int | None = None
    architectures: list[str] | None = None
    flags: list[str] | None = None
    listener_path: str | None = None
    listener_metadata: str | None = None
    syscalls: list[LinuxSyscall] | None = None


class LinuxIntelRdt(Struct, frozen=True, kw_only=True, omit_defaults=True, rename="camel"):
    """Cache and memory bandwidth of Intel's Resource Director Technology."""

    clos_id: str = field(default="", name="closID")
    l3_cache_schema: str = ""
    mem_bw_schema: str = ""
    enable_cmt: bool = field(default=False, name="enableCMT")
    enable_mbm: bool = field(default=False, name="enableMBM")


class Linux(Struct, frozen=True, kw_only=True, omit_defaults=True, rename="camel"):
    """What is particular to Linux."""

    uid_mappings: list[LinuxIDMapping] | None = None
    gid_mappings: list[LinuxIDMapping] | None = None
    sysctl: dict[str, str] | None = None
    resources: LinuxResources | None = None
    cgroups_path: str | None = None
    namespaces: list[LinuxNamespace] | None = None
    devices: list[LinuxDevice] | None = None
    seccomp: LinuxSeccomp | None = None
    rootfs_propagation: str | None = None
    masked_paths: list[str] | None = None
    readonly_paths: list[str] | None = None
    mount_label: str | None = None
    intel_rdt: LinuxIntelRdt | None = None


class Spec(Struct, frozen=True, kw_only=True, omit_defaults=True, rename="camel"):
    """A whole ``config.json``."""

    oci_version: str = field(name="ociVersion")
    process: Process | None = None
    root: Root | None = None
    hostname: str | None = None
    domainname: str | None = None
    mounts: list[Mount] | None = None
    hooks: Hooks | None = None
    annotations: dict[str, str] | None = None
    linux: Linux | None = None
