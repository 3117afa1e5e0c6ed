"""A process, of a container or executed in one, under its monitor."""

from __future__ import annotations

import asyncio
import dataclasses
import errno
import logging
import math
import os
import signal
import socket
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Final

import msgspec

from moor_shim import protocol
from moorage.kernel import pidfd as pidfds
from moorage.kernel import spawn
from moorage.kernel.cgroup.contract import Cgroup
from moorage.kernel.sealed import SealedCopies
from moorage.lib import atomicfile, clock, offload
from moorage.lib.errors import Conflict, System
from moorage.lib.failpoint import failpoint
from moorage.lib.tasks import Supervisor
from moorage.runtime import attachment, bundle, limits, oci, stats
from moorage.runtime.attachment import Attachment
from moorage.runtime.connection import Connection, MonitorGone
from moorage.runtime.contract import UNKNOWN_CODE, ExitStatus, ProcessIO
from moorage.runtime.shim import Zygote
from moorage.spec.engine.stats import ContainerStatsResponse
from moorage.spec.oci.runtime import LinuxResources, Process

log = logging.getLogger(__name__)

_RESOURCES_FILE: Final = "resources.json"
_FREEZE_S: Final = 10.0
_KILL_S: Final = 30.0
_REAP_S: Final = 1.0
_POLL_S: Final = 0.005
_CALM_S: Final = 1.0  # a monitor that is lost sooner again is not replaced: it may be a fault
_LAUNCHES: Final = 3  # attempts, should the zygote die under a request


@dataclass(slots=True, kw_only=True)
class Place:
    """Where a task lives: what it shares with others of its container."""

    container_id: str
    directory: Path  # of this task
    runtime: oci.OciRuntime
    group: Cgroup
    zygote: Zygote
    supervisor: Supervisor
    copies: SealedCopies
    on_oom: Callable[[str], None] | None
    on_deleted: Callable[[Task], None]


class Order:
    """What the monitor of an exec is told at its start."""

    def __init__(self, job: protocol.Message, process: Process, record: bundle.Record) -> None:
        self.job = job
        self.process = process
        self.record = record
        self.stream: socket.socket | None = None  # the monitor's end of the attachment

    def attach(self, *, stdin: bool, stdout: bool, stderr: bool) -> Attachment:
        """Attach to the streams that the process will have."""
        assert self.stream is None  # noqa: S101 - see Task.attach
        client, self.stream = attachment.begin()
        self.job["attach"] = {"stdin": stdin, "stdout": stdout, "stderr": stderr}
        return client

    def close(self) -> None:
        """Let go of the monitor's end."""
        if self.stream is not None:
            self.stream.close()


class Task:
    """What can be done to a process that a monitor holds."""

    def __init__(self, place: Place, *, is_container: bool, program: str) -> None:
        self.container_id = place.container_id
        self.pid = 0  # on the host; of an exec: 0 until started
        self._place = place
        self._is_container = is_container
        self._program = program
        self._pidfd = -1
        self._connection: Connection | None = None
        self._order: Order | None = None  # of an exec: until its start
        self._launched = False  # whether the monitor has taken its order
        self._streams: dict[int, int] = {}  # stream -> descriptor, for the next monitor
        self._state = ""  # as the monitor calls it
        self.job: protocol.Message | None = None  # of a container: its monitor's order
        self._replaced = -math.inf  # when the monitor was replaced last
        self._ended: asyncio.Future[ExitStatus] = asyncio.get_running_loop().create_future()
        self._deleting = asyncio.Lock()
        self._deleted = False

    # -- the monitor

    def use(self, connection: Connection) -> None:
        """Take over the control connection."""
        self._connection = connection

    def take(self, reply: protocol.Message) -> None:
        """Note what the monitor says of the process: pid, state, descriptors, end."""
        self.pid = int(reply["pid"])
        self._state = str(reply["state"])
        if self._connection is not None:
            pidfd, *streams = self._connection.take_fds() or [-1]
            if self._pidfd < 0:
                self._pidfd = pidfd
            elif pidfd >= 0:
                os.close(pidfd)
            for stream, fd in zip(reply.get("streams", ()), streams, strict=False):
                if self._streams.setdefault(stream, fd) != fd:
                    os.close(fd)
        if reply["exit"] is not None:
            self._note_reported(reply["exit"])

    def confirm(self) -> None:
        """Note that the monitor is one of a task that exists: its loss counts from now on."""
        self._launched = True

    def on_event(self, event: protocol.Message) -> None:
        """Note an event of the monitor."""
        if event["event"] == "exit":
            self._note_reported(event)
        elif event["event"] == "oom" and self._place.on_oom is not None:
            self._place.on_oom(self.container_id)

    def on_lost(self) -> None:
        """Go on without the monitor: it has ended after its work, or has been killed."""
        self._connection = None
        if self._ended.done() or not self._launched:
            return
        status = read_exit(self._place.directory)
        if status is not None:
            self.note_end(status)
        elif self._pidfd >= 0:
            log.warning("the monitor of %s is gone; watching its process", self.container_id)
            self.watch_orphan(self._pidfd)
            now = clock.monotonic()
            if self.job is not None and now - self._replaced > _CALM_S:
                self._replaced = now
                _ = self._place.supervisor.start(self._replace_monitor(self.job), "monitor")
        else:
            self.note_end(unknown_end())

    async def _replace_monitor(self, job: protocol.Message) -> None:
        """Have another monitor read on where the last was killed; the streams have waited."""
        if self._deleting.locked() or self._ended.done():
            return
        found = {"pid": self.pid, "state": self._state, "streams": list(self._streams)}
        try:
            await self._give("adopt", {**job, **found}, self._pidfd, *self._streams.values())
        except System as error:
            log.warning("%s goes on without log: %s", self.container_id, error)
        else:  # who will tell of the end, once all output has been read
            asyncio.get_running_loop().remove_reader(self._pidfd)
            log.info("%s has another monitor", self.container_id)

    def _note_reported(self, told: protocol.Message) -> None:
        """Note an end that a monitor tells of; one that was not its parent knows no code."""
        if told["code"] is not None:
            self.note_end(exit_status(told))
        else:
            deadline = asyncio.get_running_loop().time() + _REAP_S
            self._learn_orphans_end(deadline, oom_killed=bool(told["oom_killed"]))

    def watch_orphan(self, pidfd: int) -> None:
        """Watch the process itself: its monitor is gone."""
        self._pidfd = pidfd
        asyncio.get_running_loop().add_reader(pidfd, self._orphan_ended)

    def _orphan_ended(self) -> None:
        loop = asyncio.get_running_loop()
        loop.remove_reader(self._pidfd)
        self._learn_orphans_end(loop.time() + _REAP_S)

    def _learn_orphans_end(self, deadline: float, *, oom_killed: bool = False) -> None:
        """Ask the kernel, which may tell before the reaping, after it, or never."""
        loop = asyncio.get_running_loop()
        code = pidfds.exit_code(self._pidfd, self.pid) if self._pidfd >= 0 else None
        if code is None and self._pidfd >= 0 and loop.time() < deadline:
            again = partial(self._learn_orphans_end, deadline, oom_killed=oom_killed)
            loop.call_later(_POLL_S, again)
        elif code is None:
            self.note_end(unknown_end())
        else:
            now_ns = clock.now_ns()
            self.note_end(ExitStatus(code=code, oom_killed=oom_killed, finished_ns=now_ns))

    def note_end(self, status: ExitStatus) -> None:
        """Let those who wait know how it ended; the first to tell is believed."""
        if not self._ended.done():
            self._ended.set_result(status)

    # -- life

    async def start(self) -> None:
        """Let the process run.

        Raises: StartFailed (126, 127), System.
        """
        try:
            await self._start()
        except System as error:
            if not self._is_container:
                self.note_end(unknown_end())
            oci.raise_failure(
                error.message,
                verb="create" if self._is_container else "exec",
                program=self._program,
                runtime=self._place.runtime.name,
            )

    async def _start(self) -> None:
        order, self._order = self._order, None
        if order is not None:
            try:
                bundle.write(self._place.directory, "process.json", order.process)
                bundle.write(self._place.directory, bundle.RECORD_FILE, order.record)
                await self.launch(order.job, order.stream)
            finally:
                order.close()
        elif self._connection is None:
            raise MonitorGone
        else:
            self.take(await self._connection.request("start"))

    async def wait(self) -> ExitStatus:
        """Wait for the end; any number of waiters, also after the end."""
        return await asyncio.shield(self._ended)

    @property
    def has_monitor(self) -> bool:
        """Whether its monitor is there; without it there is no exec log, attach or resize."""
        return self._connection is not None

    @property
    def exit_status(self) -> ExitStatus | None:
        """How it ended, or None while it has not."""
        return self._ended.result() if self._ended.done() else None

    async def signal(self, signum: int, *, all_processes: bool = False) -> None:
        """Send a signal to the process, or to all of the container; ended already is fine."""
        if not self._place.runtime.shares_kernel and self._is_container:
            arguments = ["--all"] if all_processes else []
            await self._ask("kill", *arguments, self.container_id, str(signum))
        elif all_processes and signum == signal.SIGKILL:
            self._place.group.kill()
        elif all_processes:
            self._place.group.signal(signum)
        elif self._pidfd >= 0:
            with suppress(ProcessLookupError):
                pidfds.pidfd_send_signal(self._pidfd, signum)

    async def pause(self) -> None:
        """Freeze all processes of the container.

        Raises: Conflict (it has ended), System (not frozen within 10 s: all are let go again).
        """
        if not self._place.runtime.shares_kernel:
            await self._ask("pause", self.container_id)
            return
        group = self._place.group
        try:
            async with asyncio.timeout(_FREEZE_S):
                while True:
                    group.freeze(frozen=True)  # v1 may need to be asked again
                    if group.is_frozen():
                        return
                    await asyncio.sleep(_POLL_S)
        except TimeoutError:
            group.freeze(frozen=False)
            raise System("cannot pause: a process does not freeze") from None
        except OSError as error:
            raise self._without_freezer("pause", error) from error

    def is_paused(self) -> bool | None:
        """Whether all processes are frozen; None if that is only known to the runtime."""
        return self._place.group.is_frozen() if self._place.runtime.shares_kernel else None

    async def resume(self) -> None:
        """Thaw what ``pause`` froze.

        Raises: Conflict (it has ended), System.
        """
        if not self._place.runtime.shares_kernel:
            await self._ask("resume", self.container_id)
            return
        try:
            self._place.group.freeze(frozen=False)
        except OSError as error:
            raise self._without_freezer("resume", error) from error

    def _without_freezer(self, verb: str, error: OSError) -> Conflict | System:
        """Say why: the group goes with the container, whose end may not be known here yet."""
        if error.errno in {errno.ENOENT, errno.ENODEV}:
            return Conflict(f"container {self.container_id} is not running")
        return System(f"cannot {verb}: {error.strerror}")

    async def update(self, resources: LinuxResources) -> None:
        """Change the limits that *resources* names; others stay.

        Raises: System, naming the limit that the kernel refuses.
        """
        if self._place.runtime.systemd:
            await self._update_unit(resources)
        await offload.run("fs", limits.apply, self._place.group, resources)

    async def _update_unit(self, resources: LinuxResources) -> None:
        """Have the runtime tell systemd, which writes what it knows again at each reload."""
        directory = self._place.directory
        try:
            bundle.write(directory, _RESOURCES_FILE, resources)
            file = str(directory / _RESOURCES_FILE)
            await self._ask("update", "--resources", file, self.container_id)
        finally:
            (directory / _RESOURCES_FILE).unlink(missing_ok=True)

    async def resize(self, height: int, width: int) -> None:
        """Set the size of the terminal; without a terminal, and after the end, nothing happens."""
        if self._connection is not None:
            with suppress(System):
                await self._connection.request("resize", height=height, width=width)

    def pids(self) -> list[int]:
        """Return the processes of the container, as the host numbers them."""
        return self._place.group.procs()

    def stats(self) -> ContainerStatsResponse:
        """Return the cgroup's readings: cpu, memory, pids, blkio; the rest is the caller's."""
        return stats.response(self._place.group.readings())

    async def attach(self, *, stdin: bool, stdout: bool, stderr: bool) -> Attachment:
        """Connect to the streams, before the start or later; several clients at once.

        Before the start of an exec: one.
        Raises: Conflict (the monitor is gone).
        """
        if self._order is not None:
            return self._order.attach(stdin=stdin, stdout=stdout, stderr=stderr)
        return await attachment.attach(
            self._place.directory, stdin=stdin, stdout=stdout, stderr=stderr
        )

    @property
    def execs_directory(self) -> Path:
        """Where each process executed in the container has a directory, named by its id."""
        return self._place.directory / "exec"

    def exec_task(self, exec_id: str, program: str = "") -> Task:
        """Return the object of a process that is to be executed, or was by an earlier daemon."""
        place = dataclasses.replace(
            self._place, directory=self.execs_directory / bundle.check_id(exec_id), on_oom=None
        )
        return Task(place, is_container=False, program=program)

    async def exec(self, exec_id: str, process: Process, io: ProcessIO, *, note: str = "") -> Task:
        """Prepare another process in the container; ``start`` of the result runs it.

        Its own monitor waits for it; ``delete`` of the result must follow, also after a failure.
        *note* is given to a later daemon that finds it running (``recover.execs``).
        Raises: Conflict (the container has ended).
        """
        if self._ended.done():
            raise Conflict(f"container {self.container_id} is not running")
        task = self.exec_task(exec_id, process.args[0] if process.args else "")
        runtime = self._place.runtime
        job = bundle.job(
            kind="exec",
            container_id=self.container_id,
            directory=self.execs_directory / exec_id,
            runtime=runtime,
            io=io,
            program=process.args[0] if process.args else "",
        )
        record = bundle.Record(
            container_id=self.container_id,
            kind="exec",
            runtime=runtime,
            cgroups_path="",
            note=note,
        )
        task._order = Order(job, bundle.prepare_process(process, io), record)  # noqa: SLF001
        return task

    async def launch(self, job: protocol.Message, stream: socket.socket | None = None) -> None:
        """Make the monitor and give it its order; *stream* is its end of an attachment.

        Raises: System, with the runtime's complaint; MonitorGone.
        """
        runtime = self._place.runtime
        sealed = self._place.copies.of(runtime.path) if runtime.is_crun else None
        job["sealed"] = sealed is not None
        fds = [fd for fd in (sealed, stream.fileno() if stream else None) if fd is not None]
        await self._give("create", job, *fds)
        if self._is_container:
            self.job = job

    async def _give(self, order: str, job: protocol.Message, *fds: int) -> None:
        """Make a monitor and give it its order.

        Raises: System, with the runtime's complaint; MonitorGone.
        """
        kind = protocol.CONTAINER if self._is_container else protocol.EXEC
        for attempt in range(_LAUNCHES):
            first = self._place.zygote.fork(kind)
            self.use(Connection(first, self.on_event, self.on_lost))
            assert self._connection is not None  # noqa: S101 - just set
            try:
                reply = await self._connection.request(order, *fds, **job)
            except MonitorGone:
                self._drop_connection()
                if attempt + 1 == _LAUNCHES or not self._place.zygote.forget_dead():
                    raise  # else the request died with the zygote
            else:
                self.confirm()
                self.take(reply)
                return

    def abandon(self) -> None:
        """Give up what was launched: the monitor undoes it when it sees that nobody is there."""
        self.disconnect()
        atomicfile.remove_tree(self._place.directory)

    def disconnect(self) -> None:
        """Let go of the monitor, which stays, and of the process."""
        self._drop_connection()
        if self._pidfd >= 0:
            asyncio.get_running_loop().remove_reader(self._pidfd)
            os.close(self._pidfd)
            self._pidfd = -1
        for fd in self._streams.values():
            os.close(fd)
        self._streams.clear()

    def _drop_connection(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    # -- the end

    async def delete(self) -> None:
        """Kill what runs and remove runtime state, cgroup, monitor and bundle; may run twice.

        Raises: System (a process cannot be killed: it is in the kernel's hands).
        """
        async with self._deleting:
            if self._deleted:
                return
            failpoint("runtime.task.before_delete")
            if not self._ended.done() and (self.pid or self._is_container):
                await self._kill()
            if self._connection is not None:
                with suppress(System):
                    await self._connection.request("delete")
                self._drop_connection()
            elif self._is_container and self._place.runtime.may_know(self.container_id):
                await self._ask("delete", "--force", self.container_id)
            if self._is_container:
                self._remove_group()
            self.disconnect()
            await offload.run("fs", atomicfile.remove_tree, self._place.directory)
            self.note_end(unknown_end())
            if self._order is not None:
                self._order.close()
            self._deleted = True
            self._place.on_deleted(self)

    async def remove_remains(self) -> None:
        """Remove what an ended container has left behind."""
        self.note_end(unknown_end())
        await self.delete()

    async def _kill(self) -> None:
        await self.signal(signal.SIGKILL)
        if self._is_container and self._place.runtime.shares_kernel:
            await self.signal(signal.SIGKILL, all_processes=True)
        try:
            async with asyncio.timeout(_KILL_S):
                await self.wait()
        except TimeoutError:
            raise System(
                f"container {self.container_id}: process {self.pid} does not end when killed"
            ) from None

    def _remove_group(self) -> None:
        try:
            self._place.group.remove()
        except OSError as error:
            log.warning("cgroup of %s stays: %s", self.container_id, error)

    async def _ask(self, *arguments: str) -> None:
        """Run a verb of the OCI runtime; complaints about an absent container are none."""
        done = await spawn.run([*self._place.runtime.command(), *arguments])
        if done.code and arguments[0] not in {"delete", "kill"}:
            raise System(done.stderr.decode(errors="replace").strip() or "the runtime failed")


def exit_status(message: protocol.Message) -> ExitStatus:
    """Return the end that a monitor reports."""
    if message["code"] is None:  # the monitor was not the one that began it
        return ExitStatus(code=UNKNOWN_CODE, finished_ns=int(message["finished_ns"]), known=False)
    return ExitStatus(
        code=int(message["code"]),
        oom_killed=bool(message["oom_killed"]),
        finished_ns=int(message["finished_ns"]),
    )


def unknown_end() -> ExitStatus:
    """Return the end that nobody saw."""
    return ExitStatus(code=UNKNOWN_CODE, finished_ns=clock.now_ns(), known=False)


def read_exit(directory: Path) -> ExitStatus | None:
    """Return the end that a monitor has left in *directory*."""
    try:
        return exit_status(msgspec.json.decode((directory / protocol.EXIT_FILE).read_bytes()))
    except (FileNotFoundError, msgspec.DecodeError):
        return None
