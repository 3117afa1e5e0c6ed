"""The kernel made ready, in good time, for a process that changes its control group.

The first change after a while waits until all processors have taken notice (RCU: 4 to 15 ms), those
that follow closely do not. A monitor begins that wait when it starts the OCI runtime
(``moor_shim.cgroup.hurry``); here it begins sooner, when a client creates what it is about to
start, so that most of it is over by then.
"""

from __future__ import annotations

import asyncio
import os
from contextlib import suppress
from pathlib import Path
from typing import Final

from moorage.kernel.cgroup import hybrid
from moorage.lib import offload

_OWN_GROUPS: Final = Path("/proc/self/cgroup")


class Haste:
    """Owner of a descriptor of ``cgroup.procs`` of the group that we are in.

    Entering the group that one is in changes nothing but that the kernel is ready for others.
    Where there are no groups nothing is done.
    """

    def __init__(self) -> None:
        self._groups = b""
        self._members = -1
        self._under_way: asyncio.Future[None] | None = None

    def begin(self) -> None:
        """Let the kernel get ready, in a thread: the next few milliseconds are spent waiting."""
        if self._under_way is None or self._under_way.done():
            self._under_way = offload.start("fs", self._enter)

    def _enter(self) -> None:
        with suppress(OSError):
            groups = _OWN_GROUPS.read_bytes()
            if groups != self._groups:  # the first time; or an operator has moved us, and we stay
                self._forget()
                self._members, self._groups = open_members(), groups
            os.write(self._members, b"0")

    def _forget(self) -> None:
        if self._members >= 0:
            os.close(self._members)
            self._members = -1

    async def close(self) -> None:
        """Let go of the group, once nothing is being written."""
        if self._under_way is not None:
            await self._under_way
        self._forget()


def open_members() -> int:
    """Open the list of the group that we are in, to write; /dev/null if there is none."""
    with suppress(OSError):
        members = hybrid.own_members(hybrid.host())
        if members is not None:
            return os.open(members, os.O_WRONLY | os.O_CLOEXEC)
    return os.open(os.devnull, os.O_WRONLY | os.O_CLOEXEC)
