"""Child processes of a monitor: those it starts, and those its keeper inherits as subreaper.

A monitor without a keeper, that of an exec, inherits them itself.
"""

from __future__ import annotations

from moor_shim import lean
from moor_shim.bare import TYPE_CHECKING, os, signal, suppress
from moor_shim.keeper import Link
from moor_shim.loop import IN, Loop

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import Final

    OnEnd = Callable[[int], None]  # gets the exit code: 128 + signal for a killed process


class Children:
    """Reap every child, or hear of it from the keeper; tell who asked for it.

    A process whose pid becomes known only after it may have ended (the OCI runtime writes it to a
    file) is not lost: ends nobody asked for are kept until ``forget_unclaimed``.
    """

    def __init__(self, loop: Loop, link: Link | None = None) -> None:
        self._waiting: dict[int, OnEnd] = {}
        self._unclaimed: dict[int, int] | None = {}
        reader, writer = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        signal.set_wakeup_fd(writer, warn_on_full_buffer=False)
        signal.signal(signal.SIGCHLD, _wake_up)
        self._reader = reader
        loop.watch(reader, IN, self._reap)
        self._link = link
        if link is not None:
            loop.watch(link.fileno(), IN, self._hear)

    def spawn(
        self,
        argv: Sequence[str],
        stdio: tuple[int, int, int],
        on_end: OnEnd,
        program: str | None = None,
    ) -> None:
        """Start *argv* with *stdio*, from the file *program* if it is not the first argument.

        Signals and their mask are as a fresh process expects.
        Raises: OSError.
        """
        actions = [(os.POSIX_SPAWN_DUP2, fd, n) for n, fd in enumerate(stdio)]
        pid = os.posix_spawn(
            program or argv[0],
            list(argv),
            _ENVIRONMENT,
            file_actions=actions,
            setsigmask=[],
            setsigdef=_DEFAULTED,
        )
        self._waiting[pid] = on_end

    def claim(self, pid: int, on_end: OnEnd) -> None:
        """Be told of the end of *pid*, at once if it has been."""
        if self._unclaimed is not None and (code := self._unclaimed.pop(pid, None)) is not None:
            on_end(code)
        else:
            self._waiting[pid] = on_end

    def open(self, pid: int) -> int:
        """Return a descriptor of the child *pid*; -1 if it has ended, and is another by now."""
        try:
            pidfd = os.pidfd_open(pid)
        except OSError:
            return -1
        parent = os.getpid() if self._link is None else os.getppid()
        if _parent(pid) != parent or (self._unclaimed is not None and pid in self._unclaimed):
            os.close(pidfd)
            return -1
        return pidfd

    def forget_unclaimed(self) -> None:
        """From now on drop the ends of processes nobody asked for."""
        self._unclaimed = None

    def are_idle(self, but: int) -> bool:
        """Whether none is waited for *but* one."""
        return not self._waiting.keys() - {but}

    def adopt(self, pid: int) -> None:
        """Reap *pid*, a fork of this process, without telling anybody."""
        self._waiting[pid] = _ignore

    def _hear(self, _events: int) -> None:
        assert self._link is not None  # noqa: S101 - watched only then
        while (end := self._link.end()) is not None:
            self._ended(*end)

    def wait(self, pid: int) -> None:
        """Block until *pid* has ended."""
        if pid in self._waiting:
            _, status = os.waitpid(pid, 0)
            self._ended(pid, status)

    def _reap(self, _events: int) -> None:
        while True:
            try:
                os.read(self._reader, 512)
            except BlockingIOError:
                break
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if not pid:
                return
            self._ended(pid, status)

    def _ended(self, pid: int, status: int) -> None:
        code = os.waitstatus_to_exitcode(status)
        code = 128 - code if code < 0 else code
        on_end = self._waiting.pop(pid, None)
        if on_end is not None:
            on_end(code)
        elif self._unclaimed is not None:
            self._unclaimed[pid] = code


_ENVIRONMENT: Final = dict(os.environ)
_DEFAULTED: Final = [
    int(s) for s in signal.valid_signals() if s not in {signal.SIGKILL, signal.SIGSTOP}
]


def _ignore(_code: int) -> None:
    pass


def _wake_up(_signum: int, _frame: object) -> None:
    """Do nothing: that a signal has come is written to the loop's pipe."""


def _parent(pid: int) -> int:
    """Return the parent of *pid*; 0 if it is gone."""
    with suppress(OSError, IndexError):
        return int(lean.read(f"/proc/{pid}/stat").rpartition(b")")[2].split()[1])
    return 0
