"""Control groups, version 2: one hierarchy for all controllers."""

from __future__ import annotations

from pathlib import Path
from signal import SIGKILL
from typing import Final

from moorage.kernel.cgroup import files
from moorage.kernel.cgroup.contract import IOEntry, Readings

_IO_KEYS: Final = {
    "io_service_bytes_recursive": {"rbytes": "read", "wbytes": "write"},
    "io_serviced_recursive": {"rios": "read", "wios": "write"},
}


class V2:
    """One group below *root*."""

    def __init__(self, root: Path, path: str) -> None:
        self._directory = root / path.lstrip("/")

    def exists(self) -> bool:
        """Whether the group is there."""
        return self._directory.is_dir()

    def directory(self) -> Path:
        """Return the group's directory."""
        return self._directory

    def directories(self) -> list[Path]:
        """Return the one directory."""
        return [self._directory]

    def oom_file(self) -> Path:
        """Return ``memory.events``."""
        return self._directory / "memory.events"

    def procs(self) -> list[int]:
        """Return the processes in the group and below it."""
        return files.procs(self._directory)

    def signal(self, signum: int) -> None:
        """Send a signal to every process in the group and below it."""
        files.send(self._directory, signum)

    def kill(self) -> None:
        """Write ``cgroup.kill`` (Linux 5.14), or kill one by one."""
        try:
            (self._directory / "cgroup.kill").write_text("1")
        except OSError:
            self.signal(SIGKILL)

    def freeze(self, *, frozen: bool) -> None:
        """Write ``cgroup.freeze``."""
        (self._directory / "cgroup.freeze").write_text("1" if frozen else "0")

    def is_frozen(self) -> bool:
        """Whether ``cgroup.events`` says so."""
        return files.table(self._directory / "cgroup.events").get("frozen", 0) == 1

    def write(self, controller: str, name: str, value: str) -> None:  # noqa: ARG002 - one tree
        """Set a file."""
        (self._directory / name).write_text(value)

    def read(self, controller: str, name: str) -> str:  # noqa: ARG002 - one tree for all
        """Return the text of a file."""
        return files.text(self._directory / name)

    def readings(self) -> Readings:
        """Return the statistics."""
        here = self._directory
        cpu = files.table(here / "cpu.stat")
        return Readings(
            cpu_total_ns=cpu.get("usage_usec", 0) * 1000,
            cpu_user_ns=cpu.get("user_usec", 0) * 1000,
            cpu_system_ns=cpu.get("system_usec", 0) * 1000,
            periods=cpu.get("nr_periods", 0),
            throttled_periods=cpu.get("nr_throttled", 0),
            throttled_ns=cpu.get("throttled_usec", 0) * 1000,
            memory_usage=files.number(here / "memory.current"),
            memory_limit=files.limit(here / "memory.max"),
            memory_failures=files.table(here / "memory.events").get("oom", 0),
            memory=files.table(here / "memory.stat"),
            pids=files.number(here / "pids.current"),
            pids_limit=files.limit(here / "pids.max"),
            io=io_statistics(files.text(here / "io.stat")),
        )

    def remove(self) -> None:
        """Remove the group and those below it."""
        files.remove(self._directory)


def io_statistics(content: str) -> dict[str, list[IOEntry]]:
    """Read ``io.stat`` (``8:0 rbytes=1 wbytes=2 rios=3 wios=4 …``) into Docker's lists."""
    found: dict[str, list[IOEntry]] = {name: [] for name in _IO_KEYS}
    for line in content.splitlines():
        device, *pairs = line.split()
        if ":" not in device:
            continue
        major, minor = map(int, device.split(":"))
        values = dict(pair.split("=", 1) for pair in pairs if "=" in pair)
        for name, operations in _IO_KEYS.items():
            found[name] += [
                IOEntry(major, minor, op, int(values[key]))
                for key, op in operations.items()
                if key in values
            ]
    return found
