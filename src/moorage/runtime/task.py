"""A process, of a container or executed in one, under its monitor."""

from __future__ import annotations

from moorage.lib.errors import NotImplemented_
from moorage.runtime.attachment import Attachment
from moorage.runtime.contract import ExitStatus, ProcessIO
from moorage.spec.engine.stats import ContainerStatsResponse
from moorage.spec.oci.runtime import LinuxResources, Process


class Task:
    """What can be done to a process that a monitor holds."""

    container_id: str
    pid: int  # on the host; of an exec: 0 until started

    async def start(self) -> None:
        """Let the process run.

        Raises: StartFailed, System.
        """
        raise NotImplemented_("runtime")

    async def wait(self) -> ExitStatus:
        """Wait for the end; any number of waiters, also after the end."""
        raise NotImplemented_("runtime")

    async def signal(self, signum: int, *, all_processes: bool = False) -> None:
        """Send a signal to the process, or to all of the container; ended already is fine."""
        raise NotImplemented_("runtime")

    async def pause(self) -> None:
        """Freeze all processes of the container."""
        raise NotImplemented_("runtime")

    async def resume(self) -> None:
        """Thaw what ``pause`` froze."""
        raise NotImplemented_("runtime")

    async def update(self, resources: LinuxResources) -> None:
        """Change the limits that *resources* names; others stay."""
        raise NotImplemented_("runtime")

    async def exec(self, exec_id: str, process: Process, io: ProcessIO) -> Task:
        """Prepare another process in the container; ``start`` of the result runs it."""
        raise NotImplemented_("runtime")

    async def attach(self, *, stdin: bool, stdout: bool, stderr: bool) -> Attachment:
        """Connect to the streams, before the start or later; several clients at once."""
        raise NotImplemented_("runtime")

    async def resize(self, height: int, width: int) -> None:
        """Set the size of the terminal; without a terminal nothing happens."""
        raise NotImplemented_("runtime")

    def pids(self) -> list[int]:
        """Return the processes of the container, as the host numbers them."""
        raise NotImplemented_("runtime")

    def stats(self) -> ContainerStatsResponse:
        """Return the cgroup's readings: cpu, memory, pids, blkio; the rest is the caller's."""
        raise NotImplemented_("runtime")

    async def delete(self) -> None:
        """Kill what runs and remove runtime state, cgroup, monitor and bundle; may run twice."""
        raise NotImplemented_("runtime")
