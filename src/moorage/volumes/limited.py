"""Volumes of limited size (``--opt size=``): a project quota, or a file system of its own.

A quota costs nothing and is used where the file system of the data root has project quotas (ext4
with ``prjquota``, xfs with ``pquota``). Elsewhere the volume is an ext4 in a sparse file beside its
mount point, mounted while somebody uses it.
"""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path
from typing import Final

from moorage.kernel import loop, spawn
from moorage.kernel import mount as k
from moorage.lib.errors import InvalidParameter, System
from moorage.storage.snapshots.projectquota import ProjectQuota

IMAGE: Final = "image.ext4"
_SMALLEST: Final = 2 << 20  # bytes that mkfs.ext4 can work with
_FIRST_PROJECT: Final = 3_000_001  # apart from those of writable layers on the same file system


def quota(root: Path) -> ProjectQuota | None:
    """Return the way to limit directories below *root*; None if its file system has none."""
    root.mkdir(mode=0o701, parents=True, exist_ok=True)
    found = ProjectQuota(root, first=_FIRST_PROJECT)
    return found if found.works else None


async def make_image(directory: Path, size_bytes: int) -> None:
    """Make the file system of a volume in *directory*. Raises: InvalidParameter, System."""
    if size_bytes < _SMALLEST:
        raise InvalidParameter(
            f"a volume of {size_bytes} bytes is too small", hint="size=2m at least"
        )
    program = spawn.find("mkfs.ext4")
    if program is None:
        raise System(
            "a size limit needs project quotas on the data root's file system, or mkfs.ext4",
            hint="mount it with prjquota, or install e2fsprogs",
        )
    path = directory / IMAGE
    with path.open("xb") as file:
        path.chmod(0o600)
        file.truncate(size_bytes)
    done = await spawn.run([program, "-q", "-F", "-m", "0", "-E", "nodiscard", str(path)])
    if done.code != 0:
        path.unlink()
        raise System(f"mkfs.ext4 failed: {done.stderr.decode(errors='replace').strip()}")


def mount_image(directory: Path, target: Path) -> None:
    """Mount the file system of ``make_image`` at *target*; blocks. Raises: OSError."""
    file = os.open(directory / IMAGE, os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        device, held = loop.attach(file)
    finally:
        os.close(file)
    try:
        k.mount(device, target, "ext4")
    finally:
        os.close(held)
    with suppress(OSError):  # programs want a new volume empty; fsck makes it again if it must
        (target / "lost+found").rmdir()


def image_size(directory: Path) -> int | None:
    """Return the bytes the file system takes on the disk; None if the volume is no such one."""
    try:
        return (directory / IMAGE).stat().st_blocks * 512
    except FileNotFoundError:
        return None
