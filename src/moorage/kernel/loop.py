"""Loop devices: a file as a block device (loop(4)); ioctls by their own names."""

from __future__ import annotations

import errno
import fcntl
import os
import struct
from typing import Final

LO_FLAGS_AUTOCLEAR: Final = 4  # the device lets go of the file when its last user does
LO_FLAGS_DIRECT_IO: Final = 16
_LOOP_CTL_GET_FREE: Final = 0x4C82
_LOOP_CONFIGURE: Final = 0x4C0A  # Linux 5.8: file and settings in one step
_INFO64: Final = struct.Struct("=QQQQQIIII64s64s32s2Q")
_CONFIG: Final = struct.Struct(f"=II{_INFO64.size}s64x")
_RETRIES: Final = 32  # somebody else may take the free device first


def attach(file: int, *, flags: int = LO_FLAGS_AUTOCLEAR, block_size: int = 0) -> tuple[str, int]:
    """Make a loop device of the open *file*.

    Returns: the device's path, and a descriptor that holds it until it is mounted.
    Raises: OSError.
    """
    info = _INFO64.pack(0, 0, 0, 0, 0, 0, 0, 0, flags, b"", b"", b"", 0, 0)
    config = _CONFIG.pack(file, block_size, info)
    control = os.open("/dev/loop-control", os.O_RDWR | os.O_CLOEXEC)
    try:
        for _ in range(_RETRIES):
            path = f"/dev/loop{fcntl.ioctl(control, _LOOP_CTL_GET_FREE)}"
            device = os.open(path, os.O_RDWR | os.O_CLOEXEC)
            try:
                fcntl.ioctl(device, _LOOP_CONFIGURE, config)
            except OSError as error:
                os.close(device)
                if error.errno != errno.EBUSY:
                    raise
            else:
                return path, device
        raise OSError(errno.EBUSY, "no free loop device", "/dev/loop-control")
    finally:
        os.close(control)
