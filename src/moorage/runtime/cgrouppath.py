"""Where the control group of a container is, for each of the two who can make it (pure).

With the driver ``cgroupfs`` the OCI runtime makes directories; with ``systemd`` it asks systemd for
a scope, which on a host that systemd runs is the only other writer of the tree.
"""

from __future__ import annotations

from typing import Final, Literal

from moorage.kernel.cgroup import systemd
from moorage.lib.errors import InvalidParameter

CgroupDriver = Literal["cgroupfs", "systemd"]
DRIVERS: Final[tuple[CgroupDriver, ...]] = ("cgroupfs", "systemd")

_PARENT: Final = "/moorage"
_SLICE: Final = "system.slice"
_PREFIX: Final = "docker"  # monitors of hosts know containers by docker-<id>.scope


def of(driver: CgroupDriver, parent: str, container_id: str) -> str:
    """Return ``cgroupsPath`` of the specification; *parent* "" is the driver's own default.

    Raises: InvalidParameter (a parent from a day with the other driver).
    """
    check_parent(driver, parent)
    if driver == "systemd":
        return f"{parent or _SLICE}:{_PREFIX}:{container_id}"
    return f"/{(parent or _PARENT).strip('/')}/{container_id}"


def check_parent(driver: CgroupDriver, parent: str) -> None:
    """Refuse a parent that *driver* cannot take. Raises: InvalidParameter."""
    if driver == "systemd" and parent and not systemd.is_slice(parent):
        raise InvalidParameter(
            'cgroup-parent for systemd cgroup should be a valid slice named as "xxx.slice"'
        )


def choose(asked: str, *, unified: bool, booted: bool) -> CgroupDriver:
    """Return the driver: *asked*, or systemd's where it runs the one tree of v2, as dockerd does.

    Raises: InvalidParameter (systemd is asked for and does not run).
    """
    if asked == "systemd" and not booted:
        raise InvalidParameter(
            "native.cgroupdriver=systemd cannot be used: systemd is not the init of this host",
            hint="leave the option out, or say native.cgroupdriver=cgroupfs",
        )
    if asked == "systemd" or (not asked and unified and booted):
        return "systemd"
    return "cgroupfs"
