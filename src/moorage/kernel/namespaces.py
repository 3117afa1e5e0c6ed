"""setns(2), unshare(2) and the names of namespaces.

Both change the calling thread for ever: use a disposable thread (``lib.offload.run_disposable``),
and load nothing afterwards, for imports, codecs and look-ups would come from the container
(CVE-2019-14271).
"""

from __future__ import annotations

import ctypes
import os
from typing import Final

CLONE_NEWTIME: Final = 0x80  # linux/sched.h
CLONE_FS: Final = 0x200
CLONE_NEWNS: Final = 0x20000
CLONE_NEWCGROUP: Final = 0x2000000
CLONE_NEWUTS: Final = 0x4000000
CLONE_NEWIPC: Final = 0x8000000
CLONE_NEWUSER: Final = 0x10000000
CLONE_NEWPID: Final = 0x20000000
CLONE_NEWNET: Final = 0x40000000

PROC_NAMES: Final = {
    "pid": "pid",
    "network": "net",
    "mount": "mnt",
    "ipc": "ipc",
    "uts": "uts",
    "user": "user",
    "cgroup": "cgroup",
    "time": "time",
}
"""The runtime specification's name of a namespace: its file in ``/proc/PID/ns``."""

_libc: Final = ctypes.CDLL(None, use_errno=True)
_libc.setns.argtypes = (ctypes.c_int, ctypes.c_int)
_libc.unshare.argtypes = (ctypes.c_int,)


def setns(fd: int, nstype: int = 0) -> None:
    """Enter the namespace that *fd* refers to; *nstype* 0 takes any kind."""
    if _libc.setns(fd, nstype) < 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number), f"setns({fd})")


def unshare(flags: int) -> None:
    """Leave the namespaces in *flags* for new ones."""
    if _libc.unshare(flags) < 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number), f"unshare({flags:#x})")


def proc_path(pid: int, kind: str) -> str:
    """Return the file of the namespace *kind* (the specification's name) of *pid*."""
    return f"/proc/{pid}/ns/{PROC_NAMES[kind]}"
