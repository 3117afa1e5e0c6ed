"""What an OCI runtime must not be handed: a root file system that leads it out of itself.

Image and volumes decide what lies at the places a runtime mounts on, and not every runtime looks
before it opens: one whose root has a symlink at /dev makes its device nodes wherever the host's
path of that name leads (CVE-2026-41579, CVE-2026-47766). So this is settled before one is called.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Sequence
from typing import Final

from moorage.kernel.openat2 import openat2
from moorage.lib.errors import InvalidParameter
from moorage.spec.oci.runtime import Mount, Spec

_STANDARD: Final = ("dev", "proc", "sys")
_PROC: Final = "/proc"
# what lxcfs and the like give a container a view of its own of; runc allows the same
_OWN_VIEWS: Final = """
cpuinfo diskstats meminfo stat swaps uptime loadavg slabinfo net/dev sys/kernel/ns_last_pid
sys/crypto/fips_enabled
"""
_SHOWN_IN_PROC: Final = frozenset(f"{_PROC}/{name}" for name in _OWN_VIEWS.split())


def check(spec: Spec) -> None:
    """Refuse a root whose standard directories are links, and mounts that would fake /proc.

    Raises: InvalidParameter, OSError (there is no such root).
    """
    if spec.root is None:
        return
    root_fd = os.open(spec.root.path, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        for name in _STANDARD:
            _require_directory(root_fd, name)
        _check_mounts(root_fd, os.readlink(f"/proc/self/fd/{root_fd}"), spec.mounts or [])
    finally:
        os.close(root_fd)


def _require_directory(root_fd: int, name: str) -> None:
    try:
        mode = os.lstat(name, dir_fd=root_fd).st_mode
    except FileNotFoundError:
        return  # the runtime makes it
    if not stat.S_ISDIR(mode):
        what = "a symbolic link" if stat.S_ISLNK(mode) else "no directory"
        raise InvalidParameter(
            f"the root file system cannot be used: its /{name} is {what}, but must be a directory"
        )


def _check_mounts(root_fd: int, root: str, mounts: Sequence[Mount]) -> None:
    """Refuse what covers /proc or lies in it (CVE-2019-16884): labels are written there."""
    for mount in mounts:
        if mount.type == "proc":
            continue
        place = _resolved(root_fd, root, mount.destination)
        inside = place == _PROC or place.startswith(f"{_PROC}/")
        if not inside or place in _SHOWN_IN_PROC:
            continue
        if place == _PROC and (mount.source or "").rstrip("/") == _PROC:
            continue  # the host's own; a name that may be a link to it is not followed
        raise InvalidParameter(
            f'"{mount.destination}" cannot be mounted because it is inside {_PROC}'
        )


def _resolved(root_fd: int, root: str, path: str) -> str:
    """Return where *path* leads inside the root: its longest part that exists, links followed."""
    existing, rest = path.rstrip("/"), ""
    while existing:
        try:
            fd = openat2(root_fd, existing, os.O_PATH)
        except OSError:
            existing, _, name = existing.rpartition("/")
            rest = f"/{name}{rest}"
            continue
        try:
            found = os.readlink(f"/proc/self/fd/{fd}")
        finally:
            os.close(fd)
        return f"{found.removeprefix(root.rstrip('/'))}{rest}"
    return os.path.normpath(rest or "/")
