"""Idmapped mounts (Linux 5.12): files of one owner are seen as another's, on one mount only."""

from __future__ import annotations

import os
from pathlib import Path

from moorage.kernel import mount as k

LAST_ID = (1 << 32) - 2


def swapped(stored: int, seen: int) -> str:
    """Return the map in which *stored* and *seen* take each other's place; all else stays.

    In the format of ``/proc/PID/uid_map``.
    """
    low, high = sorted((stored, seen))
    extents = [
        (0, 0, low),
        (low, high, 1),
        (low + 1, low + 1, high - low - 1),
        (high, low, 1),
        (high + 1, high + 1, LAST_ID - high),
    ]
    if low == high:
        extents = [(0, 0, LAST_ID + 1)]
    return "".join(f"{inside} {outside} {n}\n" for inside, outside, n in extents if n > 0)


def bind(source: Path, target: Path, namespace_fd: int) -> None:
    """Mount *source* on *target*, owners mapped as the user namespace does. Raises: OSError."""
    clone = k.open_tree(k.AT_FDCWD, source, k.OPEN_TREE_CLONE | k.OPEN_TREE_CLOEXEC)
    try:
        attributes = k.MountAttr(attr_set=k.MOUNT_ATTR_IDMAP, userns_fd=namespace_fd)
        k.mount_setattr(clone, "", k.AT_EMPTY_PATH, attributes)
        k.move_mount(clone, "", k.AT_FDCWD, target, k.MOVE_MOUNT_F_EMPTY_PATH)
    finally:
        os.close(clone)
