"""ioctls of <linux/btrfs.h>: subvolumes and their quota, on a descriptor of the parent.

Their argument is longer than the 1024 bytes that Python copies, hence the ``bytearray``.
"""

from __future__ import annotations

import fcntl
import os
import struct
from typing import Final

SUBVOL_RDONLY: Final = 1 << 1
_VOL_ARGS: Final = struct.Struct("q4088s")  # fd, name
_LIMIT_ARGS: Final = struct.Struct("6Q")  # qgroup, flags, max_rfer, max_excl, rsv_rfer, rsv_excl
_SNAP_CREATE: Final = 0x50009401
_SUBVOL_CREATE: Final = 0x5000940E
_SNAP_DESTROY: Final = 0x5000940F
_SUBVOL_SETFLAGS: Final = 0x4008941A
_QUOTA_CTL: Final = 0xC0109428
_QGROUP_LIMIT: Final = 0x8030942B
_QUOTA_CTL_ENABLE: Final = 1
_LIMIT_MAX_RFER: Final = 1


def subvol_create(parent_fd: int, name: str) -> None:
    """Make an empty subvolume. Raises: OSError."""
    fcntl.ioctl(parent_fd, _SUBVOL_CREATE, bytearray(_VOL_ARGS.pack(0, os.fsencode(name))))


def snap_create(parent_fd: int, name: str, source_fd: int) -> None:
    """Make a writable snapshot of the subvolume *source_fd*. Raises: OSError."""
    fcntl.ioctl(parent_fd, _SNAP_CREATE, bytearray(_VOL_ARGS.pack(source_fd, os.fsencode(name))))


def snap_destroy(parent_fd: int, name: str) -> None:
    """Remove a subvolume with all its files. Raises: OSError."""
    fcntl.ioctl(parent_fd, _SNAP_DESTROY, bytearray(_VOL_ARGS.pack(0, os.fsencode(name))))


def subvol_setflags(fd: int, flags: int) -> None:
    """Set the flags of a subvolume. Raises: OSError."""
    fcntl.ioctl(fd, _SUBVOL_SETFLAGS, struct.pack("Q", flags))


def quota_enable(fd: int) -> None:
    """Switch quota groups on; again is fine. Raises: OSError."""
    fcntl.ioctl(fd, _QUOTA_CTL, struct.pack("QQ", _QUOTA_CTL_ENABLE, 0))


def qgroup_limit(fd: int, size_bytes: int) -> None:
    """Bound what the subvolume *fd* refers to. Raises: OSError."""
    fcntl.ioctl(fd, _QGROUP_LIMIT, _LIMIT_ARGS.pack(0, _LIMIT_MAX_RFER, size_bytes, 0, 0, 0))
