"""Process descriptors: pidfd_open(2), pidfd_send_signal(2) and what a pidfd can tell.

A pid names whoever has it now; a pidfd names one process for ever.
"""

from __future__ import annotations

import errno
import fcntl
import os
import select
import signal
import struct
from pathlib import Path
from typing import Final

PIDFD_GET_INFO: Final = 0xC040FF0B  # linux/pidfd.h: _IOWR(0xFF, 11, 64 bytes); Linux 6.13
PIDFD_INFO_EXIT: Final = 1 << 3  # Linux 6.15
_INFO: Final = struct.Struct("=QQ11Ii")  # mask, cgroup, pid … fsgid, exit code


def pidfd_open(pid: int) -> int:
    """Open a descriptor of the process *pid*; close-on-exec.

    Raises: ProcessLookupError.
    """
    return os.pidfd_open(pid)


def pidfd_send_signal(pidfd: int, signum: int) -> None:
    """Send a signal to that process and no other.

    Raises: ProcessLookupError.
    """
    signal.pidfd_send_signal(pidfd, signum)


def has_ended(pidfd: int) -> bool:
    """Whether the process has ended (it may be a zombie yet)."""
    poll = select.poll()
    poll.register(pidfd, select.POLLIN)
    return bool(poll.poll(0))


def exit_code(pidfd: int, pid: int) -> int | None:
    """Return how *pid* ended, which need not be our child: 128 + signal if killed.

    A zombie's ``stat`` tells, and after the reaping the descriptor (Linux 6.15); else None.
    """
    status = _zombie_status(pid)  # the descriptor proves below that the number is still its own
    reply = _info(pidfd)
    if reply is not None and reply[0] & PIDFD_INFO_EXIT:
        status = reply[-1]
    elif not _is_zombie(pidfd):
        return None
    if status is None:
        return None
    code = os.waitstatus_to_exitcode(status)
    return 128 - code if code < 0 else code


def _info(pidfd: int) -> tuple[int, ...] | None:
    request = _INFO.pack(PIDFD_INFO_EXIT, *([0] * 13))
    try:
        return _INFO.unpack(fcntl.ioctl(pidfd, PIDFD_GET_INFO, request))
    except OSError as error:
        if error.errno in {errno.ENOTTY, errno.EINVAL, errno.ESRCH, errno.EPERM}:
            return None
        raise


def _is_zombie(pidfd: int) -> bool:
    """Whether the process has ended but still has its number."""
    try:
        signal.pidfd_send_signal(pidfd, 0)
    except ProcessLookupError:
        return False
    return has_ended(pidfd)


def _zombie_status(pid: int) -> int | None:
    try:
        fields = Path(f"/proc/{pid}/stat").read_bytes().rpartition(b")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return None
    return int(fields[49]) if fields[0] == b"Z" else None


def start_time(pid: int) -> int:
    """Return when *pid* began, in clock ticks since boot; 0 if there is no such process."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_bytes()
    except (FileNotFoundError, ProcessLookupError):
        return 0
    return int(stat.rpartition(b")")[2].split()[19])


def open_verified(pid: int, began: int) -> int | None:
    """Open the process *pid* that began at *began* (``start_time``); None if it is gone.

    Raises: OSError (no descriptors left: whether it is gone is not known).
    """
    try:
        pidfd = os.pidfd_open(pid)
    except ProcessLookupError:
        return None
    if start_time(pid) != began:  # the number has been given to another process
        os.close(pidfd)
        return None
    return pidfd
