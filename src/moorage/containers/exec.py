"""``exec``: another process in a running container."""

from __future__ import annotations

import signal
from collections import deque
from typing import TYPE_CHECKING, Final

import msgspec

from moorage.containers import (
    detach_keys,
    environment,
    prepare,
    security,
    security_options,
    spec_from_config,
    terminal,
)
from moorage.containers.container import Container
from moorage.containers.exec_session import ExecNote, ExecSession
from moorage.containers.parts import Parts
from moorage.containers.pause import require_not_restarting
from moorage.containers.state import State
from moorage.lib import clock, ids
from moorage.lib.errors import Conflict, InvalidParameter, NotFound
from moorage.lib.failpoint import failpoint
from moorage.runtime import recover as runtime_recover
from moorage.runtime.contract import ProcessIO, StartFailed
from moorage.spec.engine.container import ProcessConfig
from moorage.spec.engine.exec import ExecConfig, ExecInspectResponse
from moorage.spec.oci.runtime import Box, Process

if TYPE_CHECKING:
    from moorage.runtime.attachment import Attachment

_FORGET_AFTER_S: Final = 300.0  # an ended exec can be inspected so long
_START_FAILED: Final = 126


class Execs:
    """All execs of all containers, by id."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self._sessions: dict[str, ExecSession] = {}
        self._ended_ones: deque[ExecSession] = deque()  # in the order of their ends

    def get(self, exec_id: str) -> ExecSession:
        """Return one.

        Raises: NotFound; Conflict, if its container has ended meanwhile.
        """
        session = self._sessions.get(exec_id)
        if session is None:
            raise NotFound(f"No such exec instance: {exec_id}")
        return session

    def create(
        self, container: Container, config: ExecConfig, *, probe: bool = False
    ) -> ExecSession:
        """Note what shall run; nothing runs yet. *probe*: for a health check.

        Events: ``exec_create``.
        Raises: InvalidParameter (no command), Conflict (not running, paused).
        """
        _check(config)
        require_runnable(container)
        self._parts.runtime.expect_task()
        self._forget_old()
        session = ExecSession(ids.new_id(), container, config, probe)
        self._keep(session)
        self._announce(session, f"exec_create: {_words(config)}")
        return session

    async def start(
        self, session: ExecSession, *, attach: bool, console_size: tuple[int, int] | None = None
    ) -> Attachment | None:
        """Run it; with *attach* return its streams.

        Events: ``exec_start``, at the end ``exec_die``.
        Raises: Conflict (ran already, container not running), StartFailed, InvalidParameter.
        """
        if session.started:
            raise Conflict(f"Error: Exec command {session.id} is already running")
        require_runnable(session.container)
        session.started = True
        config = session.config
        self._announce(session, f"exec_start: {_words(config)}")
        try:
            attachment = await self._start(session, attach=attach, console_size=console_size)
        except BaseException as error:
            code = error.exit_code if isinstance(error, StartFailed) else _START_FAILED
            self._ended(session, code)
            raise
        self._runs(session)
        return attachment

    def _keep(self, session: ExecSession) -> None:
        self._sessions[session.id] = session
        session.container.execs[session.id] = session

    def _runs(self, session: ExecSession) -> None:
        session.running = True
        session.watcher = self._parts.supervisor.start(
            self._watch(session), f"exec {session.id[:12]}"
        )

    async def recover(self, container: Container) -> None:
        """Take over what an earlier daemon has executed in *container*, which runs.

        A probe that is still at work is ended: nobody would look at its time any more.
        Events: ``exec_die`` of those that have ended meanwhile.
        """
        for found in await runtime_recover.execs(container.running_task()):
            note = msgspec.json.decode(found.note, type=ExecNote)
            session = ExecSession(found.id, container, note.config, note.probe)
            session.task, session.started = found.task, True
            self._keep(session)
            self._runs(session)
            if session.probe:
                await found.task.signal(signal.SIGKILL)

    async def _start(
        self, session: ExecSession, *, attach: bool, console_size: tuple[int, int] | None
    ) -> Attachment | None:
        config = session.config
        process = describe(self._parts, session.container, config, console_size)
        io = ProcessIO(
            tty=config.tty,
            open_stdin=config.attach_stdin,
            stdin_once=True,
            console_size=console_size,
        )
        task = await session.container.running_task().exec(
            session.id, process, io, note=session.note()
        )
        try:
            failpoint("containers.exec.after_create")
            attachment = None
            if attach:
                attachment = await task.attach(
                    stdin=config.attach_stdin,
                    stdout=config.attach_stdout,
                    stderr=config.attach_stderr,
                )
            await task.start()
            failpoint("containers.exec.after_start")
        except BaseException:
            await task.delete()
            raise
        session.task = task
        return attachment

    async def _watch(self, session: ExecSession) -> None:
        task = session.task
        assert task is not None  # noqa: S101 - watched from its start on
        status = await task.wait()
        self._ended(session, status.code)
        await task.delete()

    def _ended(self, session: ExecSession, code: int) -> None:
        session.running = False
        session.exit_code = code
        session.ended_at = clock.monotonic()
        session.end_noted.set()
        self._ended_ones.append(session)
        self._announce(session, "exec_die", exitCode=str(code))

    def inspect(self, session: ExecSession) -> ExecInspectResponse:
        """Return what ``ExecInspect`` shows."""
        config = session.config
        command = config.cmd or []
        return ExecInspectResponse(
            id=session.id,
            running=session.running,
            exit_code=session.exit_code,
            process_config=ProcessConfig(
                tty=config.tty,
                entrypoint=command[0],
                arguments=command[1:],
                privileged=config.privileged,
                user=config.user or msgspec.UNSET,
            ),
            open_stdin=config.attach_stdin,
            open_stdout=config.attach_stdout,
            open_stderr=config.attach_stderr,
            container_id=session.container.id,
            detach_keys=config.detach_keys,
            pid=session.pid,
        )

    async def resize(self, session: ExecSession, height: int, width: int) -> None:
        """Set the size of its terminal.

        Raises: Conflict, if it does not run; InvalidParameter (no size of a terminal).
        """
        if session.task is None or not session.running:
            raise Conflict(f"exec process is not running: {session.id}")
        await session.task.resize(*terminal.size((height, width)))

    def detached(self, session: ExecSession) -> None:
        """Note that a client left by the detach keys. Events: ``exec_detach``."""
        self._announce(session, "exec_detach")

    def forget(self, container: Container) -> None:
        """Drop the execs of a container that is gone."""
        for exec_id in container.execs:
            self._sessions.pop(exec_id, None)
        container.execs.clear()

    def _forget_old(self) -> None:
        limit = clock.monotonic() - _FORGET_AFTER_S
        while self._ended_ones and self._ended_ones[0].ended_at < limit:
            session = self._ended_ones.popleft()
            self._sessions.pop(session.id, None)
            session.container.execs.pop(session.id, None)

    def _announce(self, session: ExecSession, action: str, **attributes: str) -> None:
        self._parts.announce(session.container, action, execID=session.id, **attributes)


def _check(config: ExecConfig) -> None:
    if not config.cmd:
        raise InvalidParameter("No exec command specified")
    if config.working_dir and not config.working_dir.startswith("/"):
        raise InvalidParameter(
            f"the working directory '{config.working_dir}' is invalid,"
            " it needs to be an absolute path"
        )
    try:
        detach_keys.parse(config.detach_keys)
    except InvalidParameter as error:
        message = f"Invalid escape keys ({config.detach_keys}) provided"
        raise InvalidParameter(message) from error
    texts = [*config.cmd, *(config.env or []), config.user, config.working_dir]
    if any("\0" in text for text in texts):
        raise InvalidParameter("a null byte is not allowed in an exec")
    for entry in config.env or []:
        if not entry or entry.startswith("="):
            raise InvalidParameter(f"invalid environment variable: {entry}")


def _words(config: ExecConfig) -> str:
    command = config.cmd or []
    return f"{command[0]} {' '.join(command[1:])}"


def require_runnable(container: Container) -> None:
    """Refuse an exec in a container without running processes. Raises: Conflict."""
    if not container.active:
        raise Conflict(f"container {container.id} is not running")
    if container.state is State.PAUSED:
        raise Conflict(f"container {container.name} is paused, unpause the container before exec")
    require_not_restarting(container)


def describe(
    parts: Parts,
    container: Container,
    config: ExecConfig,
    console_size: tuple[int, int] | None = None,
) -> Process:
    """Return the process to run; whoever it shall be is looked up in the container's files.

    Raises: InvalidParameter (unknown user), Conflict (no root file system).
    """
    record, host = container.record, container.record.host_config
    if container.rootfs is None:
        raise Conflict(f"container {container.id} is not running")
    groups = host.group_add or []
    if not config.user:  # as who the container runs, so with the groups of its devices
        groups = [*groups, *map(str, record.device_groups)]
    identity = prepare.identity(container.rootfs, config.user or record.config.user, groups)
    granted = (
        list(parts.facts.capabilities)
        if config.privileged
        else spec_from_config.granted(host, parts.facts)
    )
    base = environment.build(
        record.config.env or [], hostname=record.config.hostname, tty=config.tty
    )
    return Process(
        terminal=config.tty,
        console_size=Box(height=console_size[0], width=console_size[1]) if console_size else None,
        user=spec_from_config.user(identity),
        args=list(config.cmd or []),
        env=environment.with_home(environment.override(base, config.env or []), identity.home),
        cwd=config.working_dir or record.config.working_dir or "/",
        capabilities=spec_from_config.process_capabilities(granted, identity),
        rlimits=spec_from_config.process_rlimits(host, parts.facts),
        no_new_privileges=not config.privileged
        and security.no_new_privileges(
            parts.settings, security_options.parse(host.security_opt or [])
        ),
        apparmor_profile=record.apparmor_profile or None,
        oom_score_adj=host.oom_score_adj or None,
        selinux_label=parts.runtime.selinux.applied(record.process_label) or None,
    )
