"""Control groups: out-of-memory kills, who is left in a container's, and how to enter one soon."""

from __future__ import annotations

from moor_shim import lean, protocol
from moor_shim.bare import TYPE_CHECKING, os, signal, suppress
from moor_shim.loop import IN, PRI, Loop

if TYPE_CHECKING:
    from collections.abc import Callable


class OomWatch:
    """Count out-of-memory kills, live and once more at the end.

    *path* is ``memory.events`` (v2, which polls) or ``memory.oom_control`` (v1, which tells an
    eventfd registered in ``cgroup.event_control``).
    """

    def __init__(self, loop: Loop, on_oom: Callable[[], None]) -> None:
        self._loop = loop
        self._on_oom = on_oom
        self.seen = 0  # kills that have been told of
        self._event = -1
        self._file = -1

    def open(self, path: str) -> None:
        """Begin; where there is no such file nothing is seen."""
        with suppress(OSError):
            self._file = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
            if path.endswith("memory.oom_control"):
                self._register_v1(path.rpartition("/")[0])
            self._watch()
            self.seen = self._kills()

    def _register_v1(self, directory: str) -> None:
        self._event = os.eventfd(0, os.EFD_CLOEXEC | os.EFD_NONBLOCK)
        control = os.open(f"{directory}/cgroup.event_control", os.O_WRONLY | os.O_CLOEXEC)
        try:
            os.write(control, f"{self._event} {self._file}".encode())
        finally:
            os.close(control)

    def adopt(self, held: list[int], seen: int) -> None:
        """Go on where another watch stopped, with what it ``held`` and had ``seen``."""
        self._file, self._event = held if len(held) > 1 else (held[0], -1)
        self.seen = seen
        self._watch()

    def _watch(self) -> None:
        for fd, mask in self.held():
            if mask:
                self._loop.watch(fd, mask, self._changed)

    def held(self) -> list[tuple[int, int]]:
        """Return the descriptors of the file and of the event, each with what to watch it for."""
        if self._event >= 0:
            return [(self._file, 0), (self._event, IN)]
        return [(self._file, PRI)] if self._file >= 0 else []

    def _changed(self, _events: int) -> None:
        if self._event >= 0:
            with suppress(BlockingIOError):
                os.eventfd_read(self._event)
        self.check()

    def check(self) -> bool:
        """Return whether a kill has ever happened; tell of a new one."""
        kills = self._kills()
        if kills > self.seen:
            self.seen = kills
            self._on_oom()
        return kills > 0

    def _kills(self) -> int:
        with suppress(OSError):
            for line in os.pread(self._file, 4096, 0).splitlines():
                if line.startswith(b"oom_kill "):
                    return int(line.split()[1])
        return self.seen

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
