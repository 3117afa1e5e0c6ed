"""Acting on files as another user, in one thread, with all capabilities kept.

What the thread makes belongs to that user; on a mount with mapped owners nothing else can be made,
for root has no name there (``EOVERFLOW``). It is for ever: use a disposable thread.
"""

from __future__ import annotations

import ctypes
import os
from typing import Final

_PR_GET_SECUREBITS: Final = 27  # linux/prctl.h
_PR_SET_SECUREBITS: Final = 28
_SECBIT_NO_SETUID_FIXUP: Final = 1 << 2  # linux/securebits.h: else setfsuid takes CAP_CHOWN etc.

_libc: Final = ctypes.CDLL(None, use_errno=True)


def act_as(uid: int, gid: int) -> None:
    """Let the calling thread act on files as *uid* and *gid* from now on. Raises: OSError."""
    bits = _libc.prctl(_PR_GET_SECUREBITS, 0, 0, 0, 0)
    if _libc.prctl(_PR_SET_SECUREBITS, bits | _SECBIT_NO_SETUID_FIXUP, 0, 0, 0) < 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number), "prctl(PR_SET_SECUREBITS)")
    _libc.setfsgid(gid)
    _libc.setfsuid(uid)
