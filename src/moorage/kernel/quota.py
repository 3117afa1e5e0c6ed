"""Project quotas: ioctl(FS_IOC_FSGETXATTR, FS_IOC_FSSETXATTR) and quotactl_fd(2) (Linux 5.14)."""

from __future__ import annotations

import ctypes
import fcntl
import os
import struct
from typing import Final

FS_XFLAG_PROJINHERIT: Final = 0x200
PRJQUOTA: Final = 2
_FS_IOC_FSGETXATTR: Final = 0x801C581F
_FS_IOC_FSSETXATTR: Final = 0x401C5820
_FSXATTR: Final = struct.Struct("IIIII8x")  # xflags extsize nextents projid cowextsize
_DQBLK: Final = struct.Struct("8QI4x")  # limits and use of space and inodes, times, valid
_QIF_BLIMITS: Final = 1
_Q_SETQUOTA: Final = 0x800008
_Q_GETQUOTA: Final = 0x800007
_SYS_QUOTACTL_FD: Final = 443
_BLOCK: Final = 1024  # bytes in which limits are counted

_libc: Final = ctypes.CDLL(None, use_errno=True)
_libc.syscall.restype = ctypes.c_long


def get_project(fd: int) -> int:
    """Return the project of a file or directory. Raises: OSError."""
    found = fcntl.ioctl(fd, _FS_IOC_FSGETXATTR, bytes(_FSXATTR.size))
    project: int = _FSXATTR.unpack(found)[3]
    return project


def set_project(fd: int, project: int) -> None:
    """Put a directory, and all that is made in it from now on, into *project*. Raises: OSError."""
    found = fcntl.ioctl(fd, _FS_IOC_FSGETXATTR, bytes(_FSXATTR.size))
    flags, extent_size, extents, _, cow = _FSXATTR.unpack(found)
    wanted = _FSXATTR.pack(flags | FS_XFLAG_PROJINHERIT, extent_size, extents, project, cow)
    fcntl.ioctl(fd, _FS_IOC_FSSETXATTR, wanted)


def set_limit(fd: int, project: int, size_bytes: int) -> None:
    """Bound the space of *project* on the file system of *fd*; 0 lifts it. Raises: OSError."""
    blocks = -(-size_bytes // _BLOCK)
    data = ctypes.create_string_buffer(
        _DQBLK.pack(blocks, blocks, 0, 0, 0, 0, 0, 0, _QIF_BLIMITS), _DQBLK.size
    )
    _quotactl(fd, _Q_SETQUOTA, project, data)


def used_space(fd: int, project: int) -> int:
    """Return the bytes that *project* uses. Raises: OSError."""
    data = ctypes.create_string_buffer(_DQBLK.size)
    _quotactl(fd, _Q_GETQUOTA, project, data)
    used: int = _DQBLK.unpack(data.raw)[2]
    return used


def _quotactl(fd: int, command: int, project: int, data: ctypes.Array[ctypes.c_char]) -> None:
    result: int = _libc.syscall(
        ctypes.c_long(_SYS_QUOTACTL_FD),
        ctypes.c_long(fd),
        ctypes.c_long(command << 8 | PRJQUOTA),
        ctypes.c_long(project),
        ctypes.byref(data),
    )
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number), "quotactl")
