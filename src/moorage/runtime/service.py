"""The runtime: OCI bundles in, processes under monitors out."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

from moorage.lib.errors import NotImplemented_
from moorage.lib.tasks import Supervisor
from moorage.runtime.contract import ExitStatus, ProcessIO, RuntimeConfig
from moorage.runtime.task import Task
from moorage.spec.oci.runtime import Spec


class Runtime:
    """One for the daemon."""

    def __init__(
        self,
        *,
        exec_root: Path,
        state_root: Path,
        runtimes: Mapping[str, RuntimeConfig],
        default: str,
        supervisor: Supervisor,
        on_oom: Callable[[str], None] | None = None,
    ) -> None:
        self._exec_root = exec_root
        self._state_root = state_root
        self._runtimes = dict(runtimes)
        self._default = default
        self._supervisor = supervisor
        self._on_oom = on_oom
        self.warnings: list[str] = []  # what `info` should say about the host

    async def open(self) -> None:
        """Check the host (cgroups, hybrid trap), choose the runtime, start the zygote."""
        raise NotImplemented_("runtime")

    async def create(
        self, container_id: str, *, runtime: str | None = None, spec: Spec, io: ProcessIO
    ) -> Task:
        """OCI create: everything is made, the process waits for ``Task.start``.

        Raises: StartFailed (126/127/128), InvalidParameter (unknown runtime), System.
        """
        raise NotImplemented_("runtime")

    async def recover(self, container_id: str) -> Task | ExitStatus | None:
        """Find a container of a former daemon: running, ended meanwhile, or nothing known."""
        raise NotImplemented_("runtime")

    async def close(self) -> None:
        """Let go of the monitors, which stay."""
        raise NotImplemented_("runtime")
