"""What a container gets when nobody says otherwise: Docker's own defaults, as facts.

Shared by containers and build steps. Pure values: nothing here looks at the host.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from moorage.spec.oci.runtime import LinuxDeviceCgroup, Mount

CAPABILITIES: Final = (
    "CAP_CHOWN",
    "CAP_DAC_OVERRIDE",
    "CAP_FSETID",
    "CAP_FOWNER",
    "CAP_MKNOD",
    "CAP_NET_RAW",
    "CAP_SETGID",
    "CAP_SETUID",
    "CAP_SETFCAP",
    "CAP_SETPCAP",
    "CAP_NET_BIND_SERVICE",
    "CAP_SYS_CHROOT",
    "CAP_KILL",
    "CAP_AUDIT_WRITE",
)

MASKED_PATHS: Final = (
    "/proc/acpi",
    "/proc/asound",
    "/proc/interrupts",
    "/proc/kcore",
    "/proc/keys",
    "/proc/latency_stats",
    "/proc/sched_debug",
    "/proc/scsi",
    "/proc/timer_list",
    "/proc/timer_stats",
    "/sys/devices/virtual/powercap",
    "/sys/firmware",
)
THERMAL_THROTTLE: Final = "/sys/devices/system/cpu/cpu{n}/thermal_throttle"  # masked per CPU

READONLY_PATHS: Final = (
    "/proc/bus",
    "/proc/fs",
    "/proc/irq",
    "/proc/sys",
    "/proc/sysrq-trigger",
)

SHM_SIZE_BYTES: Final = 64 << 20
LOG_DRIVER: Final = "json-file"
LOG_OPTIONS: Final = {"max-size": "20m", "max-file": "5", "compress": "true"}
"""Logs rotate unless told otherwise: a container must not fill the disk (moby#40207)."""


def log_options(driver: str, given: Mapping[str, str]) -> dict[str, str]:
    """Return what a log is written with, *given* what is shown: one with a size is as it says."""
    rotates = driver != LOG_DRIVER or "max-size" in given
    return {**given} if rotates else {**LOG_OPTIONS, **given}


_DEVICE_RULES: Final = (
    # deny all, then the nodes every program expects; mknod of anything is harmless without access
    LinuxDeviceCgroup(allow=False, access="rwm"),
    LinuxDeviceCgroup(allow=True, type="c", access="m"),
    LinuxDeviceCgroup(allow=True, type="b", access="m"),
    LinuxDeviceCgroup(allow=True, type="c", major=1, minor=3, access="rwm"),  # null
    LinuxDeviceCgroup(allow=True, type="c", major=1, minor=5, access="rwm"),  # zero
    LinuxDeviceCgroup(allow=True, type="c", major=1, minor=7, access="rwm"),  # full
    LinuxDeviceCgroup(allow=True, type="c", major=1, minor=8, access="rwm"),  # random
    LinuxDeviceCgroup(allow=True, type="c", major=1, minor=9, access="rwm"),  # urandom
    LinuxDeviceCgroup(allow=True, type="c", major=5, minor=0, access="rwm"),  # tty
    LinuxDeviceCgroup(allow=True, type="c", major=5, minor=1, access="rwm"),  # console
    LinuxDeviceCgroup(allow=True, type="c", major=5, minor=2, access="rwm"),  # ptmx
    LinuxDeviceCgroup(allow=True, type="c", major=136, access="rwm"),  # pts
)


def device_rules(*, privileged: bool = False) -> list[LinuxDeviceCgroup]:
    """Return the device controller's rules; rules for more devices are appended by the caller."""
    if privileged:
        return [LinuxDeviceCgroup(allow=True, access="rwm")]
    return list(_DEVICE_RULES)


def mounts(
    *, shm_size_bytes: int = SHM_SIZE_BYTES, cgroup_readonly: bool = True, privileged: bool = False
) -> list[Mount]:
    """Return the standard mounts, ``/dev/shm`` last so that a caller may drop or replace it.

    *privileged* makes ``/sys`` and the cgroup tree writable.
    """
    base = ["nosuid", "noexec", "nodev"]
    readonly = [] if privileged else ["ro"]
    cgroup_mode = ["rw"] if privileged or not cgroup_readonly else ["ro"]
    return [
        Mount(destination="/proc", type="proc", source="proc", options=list(base)),
        Mount(
            destination="/dev",
            type="tmpfs",
            source="tmpfs",
            options=["nosuid", "strictatime", "mode=755", "size=65536k"],
        ),
        Mount(
            destination="/dev/pts",
            type="devpts",
            source="devpts",
            options=["nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620", "gid=5"],
        ),
        Mount(destination="/sys", type="sysfs", source="sysfs", options=[*base, *readonly]),
        Mount(
            destination="/sys/fs/cgroup",
            type="cgroup",
            source="cgroup",
            options=[*base, *cgroup_mode],
        ),
        Mount(destination="/dev/mqueue", type="mqueue", source="mqueue", options=list(base)),
        Mount(
            destination="/dev/shm",  # noqa: S108 - inside the container
            type="tmpfs",
            source="shm",
            options=[*base, "mode=1777", f"size={shm_size_bytes}"],
        ),
    ]


def masked_paths(cpus: int = 0) -> list[str]:
    """Return the paths hidden in a container, with the thermal files of *cpus* processors."""
    return [*MASKED_PATHS, *(THERMAL_THROTTLE.format(n=n) for n in range(cpus))]


def readonly_paths() -> list[str]:
    """Return the paths that are read-only in a container."""
    return list(READONLY_PATHS)
