"""Control groups, version 1: one hierarchy for each controller."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from signal import SIGKILL
from typing import Final

from moorage.kernel.cgroup import files
from moorage.kernel.cgroup.contract import Readings

_TICK_NS: Final = 1_000_000_000 // os.sysconf("SC_CLK_TCK")
_IO_FILES: Final = {
    "io_service_bytes_recursive": "blkio.throttle.io_service_bytes_recursive",
    "io_serviced_recursive": "blkio.throttle.io_serviced_recursive",
}


class V1:
    """One group, the same path in every hierarchy of *mounts* (controller: mount point).

    *others* are trees without a controller, in which runtimes make the group too: systemd's, and
    v2's beside v1.
    """

    def __init__(self, mounts: Mapping[str, Path], path: str, others: Sequence[Path] = ()) -> None:
        self._mounts = mounts
        self._others = others
        self._path = path.lstrip("/")

    def _in(self, controller: str) -> Path:
        return self._mounts.get(controller, Path("/nonexistent")) / self._path

    def exists(self) -> bool:
        """Whether any controller has the group."""
        return any(self._in(controller).is_dir() for controller in self._mounts)

    def directory(self) -> Path:
        """Return the group in the hierarchy that surely has it: pids, else the first."""
        for controller in ("pids", "freezer", "memory", *self._mounts):
            if controller in self._mounts:
                return self._in(controller)
        return Path("/nonexistent")

    def directories(self) -> list[Path]:
        """Return the group in every hierarchy."""
        return [
            tree / self._path for tree in dict.fromkeys((*self._mounts.values(), *self._others))
        ]

    def oom_file(self) -> Path:
        """Return ``memory.oom_control``."""
        return self._in("memory") / "memory.oom_control"

    def procs(self) -> list[int]:
        """Return the processes in the group and below it."""
        return files.procs(self.directory())

    def signal(self, signum: int) -> None:
        """Send a signal to every process in the group and below it."""
        files.send(self.directory(), signum)

    def kill(self) -> None:
        """Kill all; frozen ones are thawed, or they could not die."""
        try:
            self.signal(SIGKILL)
        finally:
            with suppress(OSError):  # the group may go away meanwhile: then all is well
                self.freeze(frozen=False)

    def freeze(self, *, frozen: bool) -> None:
        """Write ``freezer.state``; the kernel may need to be asked again (``FREEZING``)."""
        self.write("freezer", "freezer.state", "FROZEN" if frozen else "THAWED")

    def is_frozen(self) -> bool:
        """Whether the state is ``FROZEN``."""
        return self.read("freezer", "freezer.state") == "FROZEN"

    def write(self, controller: str, name: str, value: str) -> None:
        """Set a file of *controller*."""
        (self._in(controller) / name).write_text(value)

    def read(self, controller: str, name: str) -> str:
        """Return the text of a file of *controller*."""
        return files.text(self._in(controller) / name)

    def readings(self) -> Readings:
        """Return the statistics."""
        cpu, memory = self._in("cpuacct"), self._in("memory")
        times = files.table(cpu / "cpuacct.stat")
        throttling = files.table(self._in("cpu") / "cpu.stat")
        return Readings(
            cpu_total_ns=files.number(cpu / "cpuacct.usage"),
            cpu_user_ns=times.get("user", 0) * _TICK_NS,
            cpu_system_ns=times.get("system", 0) * _TICK_NS,
            cpu_each_ns=[int(n) for n in files.text(cpu / "cpuacct.usage_percpu").split()],
            periods=throttling.get("nr_periods", 0),
            throttled_periods=throttling.get("nr_throttled", 0),
            throttled_ns=throttling.get("throttled_time", 0),
            memory_usage=files.number(memory / "memory.usage_in_bytes"),
            memory_max_usage=files.number(memory / "memory.max_usage_in_bytes"),
            memory_limit=files.limit(memory / "memory.limit_in_bytes"),
            memory_failures=files.number(memory / "memory.failcnt"),
            memory=files.table(memory / "memory.stat"),
            pids=files.number(self._in("pids") / "pids.current"),
            pids_limit=files.limit(self._in("pids") / "pids.max"),
            io={name: files.io_table(self._in("blkio") / file) for name, file in _IO_FILES.items()},
        )

    def remove(self) -> None:
        """Remove the group from every hierarchy."""
        for directory in self.directories():
            files.remove(directory)
