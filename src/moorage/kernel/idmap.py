"""Idmapped mounts (Linux 5.12): files of one owner are seen as another's, on one mount only."""

from __future__ import annotations

import os
from pathlib import Path

from msgspec import Struct

from moorage.kernel import mount as k
from moorage.lib.errors import InvalidParameter

LAST_ID = (1 << 32) - 2
OVERFLOW_ID = 65534  # what the kernel shows for an id without a name inside


class Extent(Struct, frozen=True):
    """A range of ids: ``count`` from ``inside`` on are those from ``outside`` on."""

    inside: int
    outside: int
    count: int


class IdMap(Struct, frozen=True):
    """Which users and groups of a host those of a user namespace are."""

    uids: tuple[Extent, ...]
    gids: tuple[Extent, ...]

    @property
    def root(self) -> tuple[int, int]:
        """Return the host's ids of user and group 0."""
        return self.owner(0, 0)

    def owner(self, uid: int, gid: int) -> tuple[int, int]:
        """Return the host's ids. Raises: InvalidParameter (one has none)."""
        return _outside(self.uids, uid, "User"), _outside(self.gids, gid, "Group")

    def seen(self, uid: int, gid: int) -> tuple[int, int]:
        """Return the ids inside of the host's; ``OVERFLOW_ID`` for one that has none."""
        return _inside(self.uids, uid), _inside(self.gids, gid)

    def texts(self) -> tuple[str, str]:
        """Return both maps in the format of ``/proc/PID/uid_map``."""
        return _text(self.uids), _text(self.gids)


def parse(uids: str, gids: str) -> IdMap:
    """Read two maps in the format of ``/proc/PID/uid_map``."""
    return IdMap(_extents(uids), _extents(gids))


def _extents(text: str) -> tuple[Extent, ...]:
    return tuple(Extent(*map(int, line.split())) for line in text.splitlines())


def _text(extents: tuple[Extent, ...]) -> str:
    return "".join(f"{e.inside} {e.outside} {e.count}\n" for e in extents)


def _outside(extents: tuple[Extent, ...], number: int, what: str) -> int:
    for extent in extents:
        if extent.inside <= number < extent.inside + extent.count:
            return extent.outside + number - extent.inside
    raise InvalidParameter(f"{what} ID {number} cannot be mapped to a host ID")


def _inside(extents: tuple[Extent, ...], number: int) -> int:
    for extent in extents:
        if extent.outside <= number < extent.outside + extent.count:
            return extent.inside + number - extent.outside
    return OVERFLOW_ID


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
