"""The runtime: OCI bundles in, processes under monitors out."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Mapping
from pathlib import Path

from moorage.kernel import spawn
from moorage.kernel.cgroup.contract import Cgroup
from moorage.kernel.sealed import SealedCopies
from moorage.lib import atomicfile, offload
from moorage.lib.errors import Conflict, InvalidParameter, System
from moorage.lib.failpoint import failpoint
from moorage.lib.tasks import Supervisor
from moorage.runtime import (
    bundle,
    defaults,
    host,
    oci,
    recover,
    seccomp_default,
    seccomp_profile,
)
from moorage.runtime.apparmor import AppArmor
from moorage.runtime.contract import ExitStatus, ProcessIO, RuntimeConfig
from moorage.runtime.haste import Haste
from moorage.runtime.seccomp import FilterCache
from moorage.runtime.selinux import SELinux
from moorage.runtime.shim import Zygote
from moorage.runtime.task import Place, Task
from moorage.spec.oci.runtime import Spec


class Runtime:
    """One for the daemon.

    ::

        exec_root/tasks/<container>/              bundle and monitor, see moor_shim.protocol
        exec_root/tasks/<container>/exec/<exec>/  the same for a process executed in it
        exec_root/runtimes/<name>/                state of the OCI runtime
        state_root/seccomp/                       compiled filters, see FilterCache
    """

    def __init__(
        self,
        *,
        exec_root: Path,
        state_root: Path,
        runtimes: Mapping[str, RuntimeConfig],
        default: str,
        supervisor: Supervisor,
        on_oom: Callable[[str], None] | None = None,
        cgroup_driver: str = "",
        selinux: bool = False,
    ) -> None:
        self._cgroup_driver = cgroup_driver
        self._tasks_root = exec_root / "tasks"
        self._runtimes_root = exec_root / "runtimes"
        self._configured = dict(runtimes)
        self._wanted_default = default
        self._on_oom = on_oom
        self._filters = FilterCache(state_root / "seccomp")
        self._supervisor = supervisor
        self._zygote = Zygote(supervisor, exec_root)
        self._copies = SealedCopies()
        self._haste = Haste()
        self._fitness: host.Fitness | None = None
        self.apparmor = AppArmor()
        self.selinux = SELinux(wanted=selinux)
        self._tasks: dict[str, Task] = {}  # the running containers

    @property
    def fitness(self) -> host.Fitness:
        """What the host offers: cgroups, usable runtimes, the default; and warnings."""
        if self._fitness is None:
            raise System("the runtime is not open")
        return self._fitness

    @property
    def warnings(self) -> list[str]:
        """What ``info`` should say about the host."""
        return [*self.fitness.warnings, *self.apparmor.warnings, *self.selinux.warnings]

    @property
    def zygote_pid(self) -> int:
        """The process that monitors are forked from; 0 while there is none."""
        return self._zygote.pid

    async def open(self) -> None:
        """Check the host (cgroups, hybrid trap), choose the runtime and who makes its cgroups.

        Raises: InvalidParameter (default runtime unknown, systemd asked for where it does not
        run), System (none can be used).
        """
        for directory in (self._tasks_root, self._runtimes_root):
            directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        spawn.seal_inherited()
        self._fitness = await offload.run(
            "fs",
            host.examine,
            self._configured,
            self._wanted_default,
            self._runtimes_root,
            cgroup_driver=self._cgroup_driver,
        )
        await self.apparmor.open()
        await offload.run("fs", self.selinux.open)
        usual = seccomp_profile.resolve(seccomp_default.PROFILE, defaults.CAPABILITIES)
        await offload.run("cpu", self._filters.annotation, usual)

    def expect_task(self) -> None:
        """Get ready for a ``create`` or an exec's start that will come soon.

        What takes a while begins at once, the rest when the caller has answered its client.
        """
        self._haste.begin()
        asyncio.get_running_loop().call_soon(self._zygote.expect_fork)

    async def create(
        self, container_id: str, *, runtime: str | None = None, spec: Spec, io: ProcessIO
    ) -> Task:
        """OCI create: everything is made, the process waits for ``Task.start``.

        Undone if it fails or is cancelled.
        Raises: StartFailed (126, 127), InvalidParameter (unknown runtime, bad profile), Conflict
        (it runs already), System.
        """
        chosen = self._runtime(runtime)
        directory = self._tasks_root / bundle.check_id(container_id)
        await self._make_way(container_id, directory)
        prepared = await bundle.prepare(container_id, spec, io, chosen, self._filters)
        assert prepared.linux is not None  # noqa: S101 - filled in by prepare
        cgroups_path = prepared.linux.cgroups_path or ""
        program = spec.process.args[0] if spec.process and spec.process.args else ""
        task = self._task(container_id, directory, chosen, cgroups_path, program)
        group = self._group(chosen, cgroups_path)
        job = bundle.job(
            kind="container",
            container_id=container_id,
            directory=directory,
            runtime=chosen,
            io=io,
            start_fifo=chosen.start_fifo(container_id, spec),
            plain_state=chosen.plain_state(container_id, spec),
            group=group,
            has_pids=_has_pids(spec),
        )
        record = bundle.Record(
            container_id=container_id,
            kind="container",
            runtime=chosen,
            cgroups_path=cgroups_path,
            job=job,
        )
        try:
            bundle.make_log_directory(io)
            bundle.write(directory, "config.json", prepared)
            bundle.write(directory, bundle.RECORD_FILE, record)
            failpoint("runtime.create.after_bundle")
            try:
                await task.launch(job)
            except System as error:
                oci.raise_failure(
                    error.message, verb="create", program=program, runtime=chosen.name
                )
            failpoint("runtime.create.after_launch")
        except BaseException:
            task.abandon()
            raise
        self._tasks[container_id] = task
        return task

    async def _make_way(self, container_id: str, directory: Path) -> None:
        """Remove what an earlier run of the container left behind."""
        if bundle.read_record(directory) is not None:
            found = await self.recover(container_id)
            if isinstance(found, Task):
                raise Conflict(f"container {container_id} is already running")
        await self.discard(container_id)

    async def recover(self, container_id: str) -> Task | ExitStatus | None:
        """Find a container of a former daemon: running, ended meanwhile, or nothing known.

        Call ``discard`` once an end has been recorded.
        """
        if container_id in self._tasks:
            return self._tasks[container_id]
        directory = self._tasks_root / bundle.check_id(container_id)
        record = bundle.read_record(directory)
        if record is None:
            return None
        task = self._task(container_id, directory, record.runtime, record.cgroups_path)
        task.job = record.job
        found = await recover.recover(task, directory)
        if isinstance(found, Task):
            self._tasks[container_id] = found
        return found

    def known(self) -> list[str]:
        """Return the containers that have left something: running ones, and ends not discarded."""
        return sorted(entry.name for entry in os.scandir(self._tasks_root))

    async def discard(self, container_id: str) -> None:
        """Remove what is left of a container that does not run; absent is fine."""
        directory = self._tasks_root / bundle.check_id(container_id)
        record = bundle.read_record(directory)
        if record is not None:
            task = self._task(container_id, directory, record.runtime, record.cgroups_path)
            await task.remove_remains()
        atomicfile.remove_tree(directory)

    async def close(self) -> None:
        """Let go of the monitors, which stay."""
        for task in tuple(self._tasks.values()):
            task.disconnect()
        self._tasks.clear()
        await self._zygote.close()
        self._copies.close()
        await self._haste.close()

    def _forget(self, task: Task) -> None:
        if self._tasks.get(task.container_id) is task:
            del self._tasks[task.container_id]

    def _runtime(self, name: str | None) -> oci.OciRuntime:
        chosen = name or self.fitness.default
        try:
            return self.fitness.runtimes[chosen]
        except KeyError:
            raise InvalidParameter(f"unknown or invalid runtime name: {chosen}") from None

    def _group(self, runtime: oci.OciRuntime, cgroups_path: str) -> Cgroup:
        cgroups = self.fitness.cgroups
        return cgroups.cgroup(runtime.group_path(cgroups_path, unified=cgroups.mode == "v2"))

    def _task(
        self,
        container_id: str,
        directory: Path,
        runtime: oci.OciRuntime,
        cgroups_path: str,
        program: str = "",
    ) -> Task:
        place = Place(
            container_id=container_id,
            directory=directory,
            runtime=runtime,
            group=self._group(runtime, cgroups_path),
            zygote=self._zygote,
            supervisor=self._supervisor,
            copies=self._copies,
            on_oom=self._on_oom,
            on_deleted=self._forget,
        )
        return Task(place, is_container=True, program=program)


def _has_pids(spec: Spec) -> bool:
    """Whether the container's process ids are its own, or another container's."""
    namespaces = spec.linux.namespaces if spec.linux is not None else None
    return any(namespace.type == "pid" for namespace in namespaces or ())
