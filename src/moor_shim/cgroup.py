"""Control groups: out-of-memory kills, who is left in a container's, and how to enter one soon."""

from __future__ import annotations

import os

from moor_shim import lean, protocol
from moor_shim.bare import TYPE_CHECKING, signal, suppress
from moor_shim.loop import IN, PRI, Loop

if TYPE_CHECKING:
    from collections.abc import Callable


class OomWatch:
    """Count out-of-memory kills, live and once more at the end.

    *path* is ``memory.events`` (v2, which polls) or ``memory.oom_control`` (v1, which tells an
    eventfd registered in ``cgroup.event_control``).
    """

    def __init__(self, loop: Loop, path: str, on_oom: Callable[[], None]) -> None:
        self._loop = loop
        self._on_oom = on_oom
        self._seen = 0
        self._event = -1
        self._file = -1
        with suppress(OSError):
            self._file = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
            if path.endswith("memory.oom_control"):
                self._register_v1(os.path.dirname(path))
            else:
                loop.watch(self._file, PRI, self._changed)
            self._seen = self._kills()

    def _register_v1(self, directory: str) -> None:
        self._event = os.eventfd(0, os.EFD_CLOEXEC | os.EFD_NONBLOCK)
        control = os.open(f"{directory}/cgroup.event_control", os.O_WRONLY | os.O_CLOEXEC)
        try:
            os.write(control, f"{self._event} {self._file}".encode())
        finally:
            os.close(control)
        self._loop.watch(self._event, IN, self._changed)

    def _changed(self, _events: int) -> None:
        if self._event >= 0:
            with suppress(BlockingIOError):
                os.eventfd_read(self._event)
        self.check()

    def check(self) -> bool:
        """Return whether a kill has ever happened; tell of a new one."""
        kills = self._kills()
        if kills > self._seen:
            self._seen = kills
            self._on_oom()
        return kills > 0

    def _kills(self) -> int:
        with suppress(OSError):
            for line in os.pread(self._file, 4096, 0).splitlines():
                if line.startswith(b"oom_kill "):
                    return int(line.split()[1])
        return self._seen

    def close(self) -> None:
        """Stop watching: a removed cgroup would wake for ever."""
        for fd in (self._event, self._file):
            if fd >= 0:
                self._loop.forget(fd)
                os.close(fd)
        self._event = self._file = -1


def hurry() -> None:
    """Make the kernel ready for a process that changes its group a few milliseconds from now.

    The first change after a while waits until all processors have taken notice (RCU: 2 to 15 ms);
    those that follow closely do not. Entering the group that one is in changes nothing but that:
    the wait passes while the OCI runtime is still being loaded, instead of after it.
    """
    with suppress(OSError):
        os.write(protocol.MEMBERS_FD, b"0")


def kill_all(directory: str) -> None:
    """Kill what is left in the cgroup *directory*: a shared pid namespace outlives its first."""
    with suppress(OSError):
        fd = os.open(f"{directory}/cgroup.kill", os.O_WRONLY | os.O_CLOEXEC)
        try:
            os.write(fd, b"1")
        finally:
            os.close(fd)
        return
    held = []
    for pid in _members(directory):
        with suppress(OSError):
            held.append((pid, os.pidfd_open(pid)))
    still_there = set(_members(directory)) if held else set()  # a pid reused meanwhile is not
    for pid, pidfd in held:
        if pid in still_there:
            with suppress(OSError):
                signal.pidfd_send_signal(pidfd, signal.SIGKILL)
        os.close(pidfd)


def _members(directory: str) -> list[int]:
    try:
        return [int(line) for line in lean.read(f"{directory}/cgroup.procs").split()]
    except OSError:
        return []
