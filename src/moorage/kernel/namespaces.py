"""setns(2) and unshare(2): they change the calling thread alone.

Only for a thread that dies afterwards (``lib.offload.run_disposable``), and nothing may be imported
in it after the call: the file system it would be read from may be a container's (CVE-2019-14271).
"""

from __future__ import annotations

import ctypes
import os
from typing import Final

CLONE_NEWTIME: Final = 0x00000080
CLONE_NEWNS: Final = 0x00020000
CLONE_NEWCGROUP: Final = 0x02000000
CLONE_NEWUTS: Final = 0x04000000
CLONE_NEWIPC: Final = 0x08000000
CLONE_NEWUSER: Final = 0x10000000
CLONE_NEWPID: Final = 0x20000000
CLONE_NEWNET: Final = 0x40000000

_libc = ctypes.CDLL(None, use_errno=True)


def setns(fd: int, nstype: int) -> None:
    """Enter the namespace *fd* refers to; *nstype* 0 takes any kind."""
    if _libc.setns(fd, nstype) == -1:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number), f"setns {fd}")


def unshare(flags: int) -> None:
    """Leave the shared namespaces of *flags* for fresh ones."""
    if _libc.unshare(flags) == -1:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number), f"unshare {flags:#x}")
