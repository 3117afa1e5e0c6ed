"""What a control group can be asked and told, whatever its version.

A group is named by its path below the root of the hierarchy (``/moorage/<id>``), as in the
runtime specification. Files that are missing (controller not mounted, group removed) read as
zero or nothing: statistics of a container that ends meanwhile are no error.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final, Protocol

from msgspec import Struct, field

UNLIMITED: Final = 1 << 63  # at or above it a limit is none


class IOEntry(Struct, frozen=True):
    """One number of one block device."""

    major: int
    minor: int
    op: str
    value: int


class Readings(Struct, frozen=True, kw_only=True):
    """Statistics of one group, in bytes and nanoseconds."""

    cpu_total_ns: int = 0
    cpu_user_ns: int = 0
    cpu_system_ns: int = 0
    cpu_each_ns: list[int] | None = None  # v1 only
    periods: int = 0
    throttled_periods: int = 0
    throttled_ns: int = 0
    memory_usage: int = 0
    memory_max_usage: int | None = None  # v1 only
    memory_limit: int | None = None  # None = no limit
    memory_failures: int = 0  # v1: failcnt; v2: times that it was out of memory
    memory: dict[str, int] = field(default_factory=dict)  # memory.stat
    pids: int = 0
    pids_limit: int | None = None  # None = no limit
    io: dict[str, list[IOEntry]] = field(default_factory=dict)  # io_service_bytes_recursive, …


class Cgroup(Protocol):
    """One control group over all controllers."""

    def exists(self) -> bool:
        """Whether the group is there."""

    def directory(self) -> Path:
        """Return a directory whose ``cgroup.procs`` lists the members."""

    def directories(self) -> list[Path]:
        """Return the group in every tree, also those without a controller."""

    def oom_file(self) -> Path:
        """Return the file that counts out-of-memory kills."""

    def procs(self) -> list[int]:
        """Return the processes in the group and below it."""

    def signal(self, signum: int) -> None:
        """Send a signal to every process in the group and below it."""

    def kill(self) -> None:
        """Send SIGKILL to every process in the group and below it."""

    def freeze(self, *, frozen: bool) -> None:
        """Ask for all processes to be stopped or let go; see ``is_frozen``."""

    def is_frozen(self) -> bool:
        """Whether all processes have been stopped."""

    def write(self, controller: str, name: str, value: str) -> None:
        """Set a file of *controller*.

        Raises: FileNotFoundError (controller not there), OSError (value refused).
        """

    def read(self, controller: str, name: str) -> str:
        """Return the text of a file of *controller*, "" if it is not there."""

    def readings(self) -> Readings:
        """Return the statistics."""

    def remove(self) -> None:
        """Remove the group and those below it, which must be empty; absent is fine."""
