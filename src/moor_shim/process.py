"""Driving the OCI runtime for one container or one exec."""

from __future__ import annotations

from moor_shim import cgroup, lean, protocol
from moor_shim.bare import TYPE_CHECKING, os, suppress
from moor_shim.children import Children
from moor_shim.stdio import Stdio

if TYPE_CHECKING:
    from collections.abc import Callable


class Process:
    """The process the monitor is for.

    A container is made by ``create`` and let run by ``start``; an exec needs ``start`` only.
    """

    def __init__(
        self, job: protocol.Message, children: Children, stdio: Stdio, sealed: int
    ) -> None:
        self._children = children
        self._stdio = stdio
        self.is_container = job["kind"] == "container"
        self._id: str = job["container_id"]
        self._directory: str = job["directory"]
        self._command: list[str] = [
            *job["runtime"],
            "--log",
            f"{self._directory}/{protocol.RUNTIME_LOG}",
            "--log-format",
            "json",
        ]
        self.sealed = sealed  # descriptor of a copy of the runtime, or -1
        self._fifo: str | None = job["start_fifo"]
        self._plain_state: str | None = job["plain_state"]
        self._groups: list[str] = job["cgroups"]
        self.pid = 0
        self.pidfd = -1

    def create(self, on_done: Callable[[str | None], None]) -> None:
        """Run ``create``; *on_done* gets the runtime's complaint, or None."""
        self._launch(
            ["create", "--bundle", self._directory, *self._launch_options(), self._id], on_done
        )

    def start(self, on_done: Callable[[str | None], None]) -> None:
        """Let the process run."""
        if not self.is_container:
            options = ["--detach", "--process", f"{self._directory}/process.json"]
            self._launch(["exec", *options, *self._launch_options(), self._id], on_done)
        elif self._start_by_fifo():
            on_done(None)
        else:
            self._run(["start", self._id], lambda code: on_done(self._complaint(code)))

    def delete(self, on_done: Callable[[], None], *, ended: bool) -> None:
        """Remove the runtime's state and the cgroup; *ended*: the process was, and is over."""
        if ended and self._delete_plainly():
            on_done()
        else:
            self._run(
                ["delete", "--force", self._id], lambda _code: self._deleted(on_done, ended=ended)
            )

    def _deleted(self, on_done: Callable[[], None], *, ended: bool) -> None:
        """Remove the groups of a container that could not be made: crun 1.8 forgets v2's."""
        for group in () if ended else self._groups:
            cgroup.kill_all(group)
            with suppress(OSError):
                os.rmdir(group)
        on_done()

    def _delete_plainly(self) -> bool:
        """Do what ``crun delete`` does, without a process: 5 ms that ``run --rm`` waits for.

        Only asked for where the runtime is crun and no hook waits for the end. Whatever is not
        as plain as expected (groups within the group) is left to the runtime.
        """
        if self._plain_state is None:
            return False
        try:
            for group in self._groups:
                with suppress(FileNotFoundError):
                    os.rmdir(group)
            with suppress(FileNotFoundError):
                for name in os.listdir(self._plain_state):
                    os.unlink(f"{self._plain_state}/{name}")
                os.rmdir(self._plain_state)
        except OSError:
            return False
        return True

    def _start_by_fifo(self) -> bool:
        """Do what ``crun start`` does, without a process: 5 ms of a container's start.

        Only asked for where the runtime is crun and no hook waits for the start.
        """
        if self._fifo is None:
            return False
        try:
            fifo = os.open(self._fifo, os.O_WRONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        except OSError:
            return False
        try:
            os.unlink(self._fifo)
            return os.write(fifo, b"\0") == 1
        finally:
            os.close(fifo)

    def _launch_options(self) -> list[str]:
        options = ["--pid-file", f"{self._directory}/{protocol.PID_FILE}"]
        if self._stdio.tty:
            options += ["--console-socket", self._stdio.console_path()]
        return options

    def _launch(self, arguments: list[str], on_done: Callable[[str | None], None]) -> None:
        ends = self._stdio.open()

        def ended(code: int) -> None:
            complaint = self._complaint(code)
            if complaint is None:
                complaint = self._take_process()
            on_done(complaint)

        try:
            self._spawn(arguments, ends, ended)
            cgroup.hurry()
        except OSError as error:
            on_done(f"{self._command[0]}: {error.strerror}")
        finally:
            for fd in ends:
                os.close(fd)

    def _take_process(self) -> str | None:
        try:
            self.pid = int(lean.read(f"{self._directory}/{protocol.PID_FILE}"))
            self._stdio.receive_console()
        except (OSError, ValueError, IndexError) as error:
            return f"the runtime gave no process: {error}"
        self.pidfd = self._children.open(self.pid)
        return None

    def _run(self, arguments: list[str], on_end: Callable[[int], None]) -> None:
        null = os.open("/dev/null", os.O_RDWR | os.O_CLOEXEC)
        try:
            self._spawn(arguments, (null, null, null), on_end)
        except OSError:
            on_end(127)
        finally:
            os.close(null)

    def _spawn(
        self, arguments: list[str], stdio: tuple[int, int, int], on_end: Callable[[int], None]
    ) -> None:
        argv = [*self._command, *arguments]
        if self.sealed >= 0:
            try:
                self._children.spawn(argv, stdio, on_end, f"/proc/self/fd/{self.sealed}")
            except OSError:  # a kernel whose policy forbids to run such a file
                self.sealed = -1
            else:
                return
        self._children.spawn(argv, stdio, on_end)

    def _complaint(self, code: int) -> str | None:
        if code == 0:
            return None
        message = f"the runtime ended with status {code}"
        with suppress(OSError, ValueError):
            for line in lean.read(f"{self._directory}/{protocol.RUNTIME_LOG}").splitlines():
                entry = protocol.decode(line)
                if entry.get("level", "error") in {"error", "fatal"}:
                    message = str(entry.get("msg") or message)
        return message


def start_time(pid: int) -> int:
    """Return when *pid* began, in clock ticks since boot; 0 if it has ended."""
    try:
        return int(lean.read(f"/proc/{pid}/stat").rpartition(b")")[2].split()[19])
    except (OSError, IndexError):
        return 0
