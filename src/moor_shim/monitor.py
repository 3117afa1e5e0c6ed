"""The monitor: holds one process, its streams, its log and its end, whatever becomes of the daemon.

::

    NEW ──create──► CREATED ──start──► RUNNING ──process ends──► DRAINING ──► ENDED ──► gone
     ├──(exec)────────────create──────────►┤ ▲
     ├──(its monitor was killed)──adopt───►┤ └──work──► at rest, see ``keeper``
     └──(its monitor was at rest)─resume──►┘

A container whose daemon goes away before its start is removed again: nobody knows of it yet.
After the end the monitor stays only while a control connection does, or output is unsent.
"""

from __future__ import annotations

import time

from moor_shim import lean, protocol, sinks
from moor_shim.bare import TYPE_CHECKING, os, signal, suppress
from moor_shim.cgroup import OomWatch, kill_all
from moor_shim.children import Children
from moor_shim.clients import Attachment, Control
from moor_shim.keeper import Link
from moor_shim.loop import IN, Loop
from moor_shim.process import Process, start_time
from moor_shim.stdio import Stdio

if TYPE_CHECKING:
    from typing import Final

FOUND_S: Final = 0.005  # a short exec need not be found: it takes longer to start a daemon
DRAIN_S: Final = 0.15  # after the end, output that others hold open is waited for this long
QUIET_S: Final = 5.0  # with nothing to do; waking another costs 2 ms


class Monitor:
    """State of one monitor process; that of an exec has no keeper to share *link* with."""

    def __init__(self, loop: Loop, link: Link | None = None) -> None:
        self._loop = loop
        self._link = link
        self._children = Children(loop, link)
        self._controls: list[Control] = []
        self._attachments: list[Attachment] = []
        self._state = "new"
        self._job: protocol.Message = {}
        self._oom: OomWatch | None = None
        self._oom_killed = False
        self._exit: protocol.Message | None = None
        self._deleted = False
        self._busy = False  # the OCI runtime is at work on the process
        self._adopted = False
        self._abandoned = False
        self.at_rest = False
        self._sink: sinks.Sink | None = None
        self._delete_waiters: list[tuple[Control, object]] = []
        self._listener: lean.Socket | None = None
        self._stdio: Stdio
        self._process: Process

    # -- connections

    def accept(self, connection: lean.Socket) -> Control:
        """Serve a control connection."""
        control = Control(self._loop, connection, self._message, self._control_gone)
        self._controls.append(control)
        return control

    def _listen(self) -> None:
        # by a relative path: a socket's has 108 bytes only
        self._serve(lean.listen(protocol.SOCKET, 64))

    def _serve(self, listener: lean.Socket) -> None:
        self._listener = listener

        def incoming(_events: int) -> None:
            with suppress(OSError):
                self.accept(lean.accept(listener))

        self._loop.watch(listener.fileno(), IN, incoming)

    def _control_gone(self, control: Control) -> None:
        self._controls.remove(control)
        if not any(c.greeted for c in self._controls):
            if self._state in {"new", "created"}:
                self._abandon()
            else:
                self._be_found()
        self._leave_if_done()

    def _abandon(self) -> None:
        """Undo what was made: the daemon has gone before the start."""
        if self._busy:
            return  # decided when the runtime is done
        if self._state == "created":
            self._abandoned = True
            with suppress(OSError):
                os.unlink(protocol.TASK_FILE)  # there has been no task, for a later daemon
            with suppress(ProcessLookupError):
                signal.pidfd_send_signal(self._process.pidfd, signal.SIGKILL)
        else:
            self._loop.stop()

    def _attachment_gone(self, attachment: Attachment) -> None:
        self._attachments.remove(attachment)
        self._stdio.outputs.remove(attachment)
        self._leave_if_done()

    def _message(self, control: Control, message: protocol.Message) -> None:
        operation = message.get("op")
        number = message.get("id")
        if operation == "create" and self._state == "new" and not self._job:
            control.greeted = True
            self._create(control, number, message)
        elif operation == "adopt" and self._state == "new" and not self._job:
            control.greeted = True
            self._adopt(control, number, message)
        elif not self._job or self._abandoned:
            control.close()
        elif operation == "hello":
            control.greeted = True
            self._greet(control, number)
        elif operation == "start":
            self._start(control, number)
        elif operation == "attach":
            self._attach(control, number, message)
        elif operation == "resize":
            self._stdio.resize(int(message["height"]), int(message["width"]))
            control.send({"id": number})
        elif operation == "delete":
            self._delete(control, number)
        else:
            control.send({"id": number, "error": f"unknown operation: {operation}"})

    def _greet(self, control: Control, number: object) -> None:
        streams: dict[int, int] = {}
        if self._process.is_container and self._process.pidfd >= 0:
            streams = self._stdio.readable()
        control.send(
            {
                "id": number,
                "pid": self._process.pid,
                "state": self._state,
                "exit": self._exit,
                "streams": list(streams.values()),
            },
            (self._process.pidfd, *streams) if self._process.pidfd >= 0 else (),
        )

    def _attach(self, control: Control, number: object, request: protocol.Message) -> None:
        attachment = self._join(control.detach(), request)
        attachment.reply({"id": number})
        if self._state == "ended":
            attachment.finish()

    def _join(self, source: tuple[lean.Socket, bytes], request: protocol.Message) -> Attachment:
        request["stdin_once"] = self._job["io"]["stdin_once"]
        attachment = Attachment(self._loop, source, self._stdio, request, self._attachment_gone)
        self._attachments.append(attachment)
        self._stdio.outputs.append(attachment)
        return attachment

    # -- life

    def _move_in(self, control: Control, number: object, job: protocol.Message) -> bool:
        """Go to the task's directory and open its log; whether that was possible."""
        self._job = job
        try:
            os.chdir(job["directory"])
            if job["kind"] == "container":  # an exec can be found later, see _be_found
                self._listen()
        except OSError:  # given up already: the task's directory is gone
            self._loop.stop()
            return False
        complaint = self._open_streams(job["io"])
        if complaint is not None:
            control.send({"id": number, "error": complaint})
            self._loop.stop()
        return complaint is None

    def _create(self, control: Control, number: object, job: protocol.Message) -> None:
        if not self._move_in(control, number, job):
            return
        sealed = control.fds.pop(0) if job["sealed"] else -1
        self._process = Process(job, self._children, self._stdio, sealed)
        if not self._process.is_container:
            if job["attach"]:
                stream = lean.Socket(fileno=control.fds.pop(0))
                self._join((stream, b""), job["attach"])
            self._start(control, number)
            return

        def created(complaint: str | None) -> None:
            self._busy = False
            if complaint is not None:
                self._fail(control, number, complaint)
                return
            self._state = "created"
            self._take_process()
            self._greet(control, number)
            if not any(c.greeted for c in self._controls):
                self._abandon()

        self._busy = True
        self._process.create(created)

    def _adopt(self, control: Control, number: object, job: protocol.Message) -> None:
        """Go on where a monitor was killed, with the streams that the daemon has kept open.

        The process is nobody's child here: how it ends is for the daemon to learn.
        """
        pidfd, *streams = control.fds
        control.fds.clear()
        if not self._move_in(control, number, job):
            return
        self._process = Process(job, self._children, self._stdio, -1)
        self._process.pid = job["pid"]
        self._process.pidfd = pidfd
        self._stdio.adopt(dict(zip(streams, job["streams"], strict=True)))
        self._state = job["state"]
        self._take_container()
        self._watch_end()
        self._stdio.begin()
        self._greet(control, number)

    def _watch_end(self) -> None:
        self._adopted = True
        pidfd = self._process.pidfd

        def ended(_events: int) -> None:
            self._loop.forget(pidfd)
            self._process_ended(None)

        self._loop.watch(pidfd, IN, ended)

    # -- rest

    def rest(self) -> None:
        """Leave all to a later monitor, unless something is under way."""
        if self._link is None or not self._is_idle():
            return
        held: list[tuple[int, int]] = []

        def hold(fd: int, events: int) -> int:
            if fd < 0:
                return -1
            held.append((fd, events))
            return len(held) - 1

        note = {
            "job": self._job,
            "pid": self._process.pid,
            "adopted": self._adopted,
            "oom_killed": self._oom_killed,
            "size": self._stdio.size,
            "pidfd": hold(self._process.pidfd, IN),
            "sealed": hold(self._process.sealed, 0),
            "listener": hold(self._listener.fileno(), IN) if self._listener else -1,
            "controls": [hold(control.fileno(), IN) for control in self._controls],
            "streams": [(hold(fd, IN), n) for fd, n in self._stdio.readable().items()],
            "stdin": hold(self._stdio.writable(), 0),
            "oom": [hold(*each) for each in self._oom.held()] if self._oom else [],
            "ooms": self._oom.seen if self._oom else 0,
        }
        if self._link.leave(protocol.encode(note), held):
            self.at_rest = True
            self._loop.stop()

    def _is_idle(self) -> bool:
        return (
            self._state == "running"
            and self._process.pidfd >= 0
            and self._job["rests"]
            and not (self._attachments or self._delete_waiters or self._busy)
            and all(control.is_idle() for control in self._controls)
            and self._stdio.is_idle()
            and self._children.are_idle(but=self._process.pid)
            and (self._sink is None or self._sink.is_idle())
        )

    def resume(self, link: Link) -> None:
        """Go on where another monitor has come to rest.

        Raises: OSError (the task's directory is gone).
        """
        text, fds = link.take()
        fds.append(-1)  # what was not held has this number, too
        note = protocol.decode(text.rstrip())
        job = self._job = note["job"]
        os.chdir(job["directory"])
        complaint = self._open_streams(job["io"])
        if complaint is not None:  # the process goes on without a log
            lean.append(protocol.ERROR_FILE, complaint)
        process = self._process = Process(job, self._children, self._stdio, fds[note["sealed"]])
        process.pid = note["pid"]
        process.pidfd = fds[note["pidfd"]]
        self._state = "running"
        self._oom_killed = note["oom_killed"]
        if note["listener"] >= 0:
            self._serve(lean.Socket(fileno=fds[note["listener"]]))
        for number in note["controls"]:
            self.accept(lean.Socket(fileno=fds[number])).greeted = True
        if note["oom"]:
            self._oom = OomWatch(self._loop, self._oom_happened)
            self._oom.adopt([fds[number] for number in note["oom"]], note["ooms"])
        self._stdio.size = note["size"]
        self._stdio.adopt({fds[n]: stream for n, stream in note["streams"]}, fds[note["stdin"]])
        if note["adopted"]:
            self._watch_end()
        else:
            self._children.claim(process.pid, self._process_ended)
            self._children.forget_unclaimed()
        self._stdio.begin()

    def _open_streams(self, io: protocol.Message) -> str | None:
        """Make the streams and open the log; return a complaint, or None."""
        self._stdio = Stdio(
            self._loop, tty=io["tty"], open_stdin=io["open_stdin"], program=io["program"]
        )
        self._stdio.on_eof = self._output_ended
        self._stdio.on_stdin_space = self._stdin_space
        if io["console_size"]:
            self._stdio.resize(*io["console_size"])
        try:
            self._sink = sinks.make(io["log"], self._loop, self._children)
        except (OSError, ValueError) as error:
            return f"failed to initialize logging driver: {error}"
        if self._sink is not None:
            self._stdio.outputs.append(self._sink)
        return None

    def _fail(self, control: Control, number: object, complaint: str) -> None:
        """Report that the process could not be made, and end without a trace of it."""

        def removed() -> None:
            control.send({"id": number, "error": complaint})
            self._loop.stop()

        if self._process.is_container:
            self._process.delete(removed, ended=False)
        else:
            removed()

    def _take_process(self) -> None:
        if self._process.is_container:
            self._take_container()
        self._children.claim(self._process.pid, self._process_ended)
        self._children.forget_unclaimed()

    def _take_container(self) -> None:
        self._write_task()
        if self._job.get("oom"):
            self._oom = OomWatch(self._loop, self._oom_happened)
            self._oom.open(self._job["oom"])

    def _write_task(self) -> None:
        pid = self._process.pid
        task = {"pid": pid, "start_time": start_time(pid), "monitor": self._lasting_pid()}
        lean.replace(protocol.TASK_FILE, protocol.encode(task))

    def _lasting_pid(self) -> int:
        """Return the pid of who stays while the process runs."""
        return os.getpid() if self._link is None else os.getppid()

    def _be_found(self) -> None:
        """Let a later daemon find this exec, if it still runs when its own has had the answer."""
        if self._state != "running" or self._listener is not None:
            return
        with suppress(OSError):
            self._listen()
        self._write_task()

    def _start(self, control: Control, number: object) -> None:
        if self._state not in {"new", "created"}:
            control.send({"id": number, "error": f"cannot start: {self._state}"})
            return
        if self._process.is_container:
            self._stdio.begin()

        def started(complaint: str | None) -> None:
            self._busy = False
            if complaint is not None:
                if self._process.is_container:
                    control.send({"id": number, "error": complaint})
                else:
                    self._fail(control, number, complaint)
                return
            if not self._process.is_container:
                self._state = "running"
                self._take_process()
                self._stdio.begin()
            elif self._state == "created":
                self._state = "running"
            self._greet(control, number)
            if not self._process.is_container and self._state == "running":
                self._loop.after(FOUND_S, self._be_found)

        self._busy = True
        self._process.start(started)

    def _oom_happened(self) -> None:
        self._oom_killed = True
        self._broadcast({"event": "oom"})

    def _process_ended(self, code: int | None) -> None:
        finished = time.time_ns()
        if self._oom is not None:
            self._oom.check()
            self._oom.close()
        self._state = "draining"
        self._exit = {"code": code, "oom_killed": self._oom_killed, "finished_ns": finished}
        if self._process.is_container and self._job.get("cgroup"):
            kill_all(self._job["cgroup"])
        self._stdio.drain()
        if self._stdio.ended():
            self._end()
        else:
            self._loop.after(DRAIN_S, self._drained)

    def _drained(self) -> None:
        self._stdio.drain()
        self._end()

    def _output_ended(self) -> None:
        if self._state == "draining":
            self._end()
        elif self._state == "ended":
            self._leave_if_done()

    def _end(self) -> None:
        """Make the end known: log, exit file, event, attachments; then clean up."""
        if self._state == "ended":
            return
        self._state = "ended"
        if self._sink is not None:
            self._stdio.outputs.remove(self._sink)
            self._sink.close()
        assert self._exit is not None  # noqa: S101 - set before this state
        exit_ = protocol.encode(self._exit)
        if self._process.is_container and not self._abandoned:
            lean.replace(protocol.EXIT_FILE, exit_)
        self._broadcast({"event": "exit", **self._exit})
        for attachment in tuple(self._attachments):
            attachment.finish()
        if not self._process.is_container:  # who is told need not wait for what a later one reads
            lean.replace(protocol.EXIT_FILE, exit_)
        if self._process.is_container:
            self._process.delete(self._runtime_deleted, ended=True)
        else:
            self._runtime_deleted()

    def _runtime_deleted(self) -> None:
        self._deleted = True
        for control, number in self._delete_waiters:
            control.send({"id": number})
            control.close()
        self._delete_waiters.clear()
        self._leave_if_done()

    def _delete(self, control: Control, number: object) -> None:
        """Answer when the runtime's state and the cgroup are gone."""
        if self._state in {"new", "created", "running"} and not self._process.pid:
            control.send({"id": number})
            self._loop.stop()
        elif self._deleted:
            control.send({"id": number})
            control.close()
        else:
            self._delete_waiters.append((control, number))

    def _broadcast(self, event: protocol.Message) -> None:
        for control in tuple(self._controls):
            if control.greeted:
                control.send(event)

    def _stdin_space(self) -> None:
        for attachment in tuple(self._attachments):
            attachment.refresh()

    def _leave_if_done(self) -> None:
        """End this process once nobody needs it.

        Output that an exec left to a process behind it is still read, so that it is not stopped.
        """
        if self._deleted and not self._controls and not self._attachments:
            if self._listener is not None:
                self._listener.close()
            if self._process.is_container or self._stdio.ended():
                self._loop.stop()


def main(first: int, link: Link | None = None) -> bool:
    """Be a monitor until there is nothing left to do; return whether it is at rest.

    *first* is the socket of its first client; -1 for one that goes on where another is at rest.
    """
    loop = Loop()
    monitor = Monitor(loop, link)
    if first >= 0:
        monitor.accept(lean.Socket(fileno=first))
    elif link is not None:
        monitor.resume(link)
    loop.when_quiet(QUIET_S, monitor.rest)
    loop.run()
    return monitor.at_rest
