"""Child processes of a monitor: those it starts, and those it inherits as subreaper."""

from __future__ import annotations

import os

from moor_shim.bare import TYPE_CHECKING, signal
from moor_shim.loop import IN, Loop

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import Final

    OnEnd = Callable[[int], None]  # gets the exit code: 128 + signal for a killed process


class Children:
    """Reap every child; tell who asked for it.

    A process whose pid becomes known only after it may have ended (the OCI runtime writes it to a
    file) is not lost: ends nobody asked for are kept until ``forget_unclaimed``.
    """

    def __init__(self, loop: Loop) -> None:
        self._waiting: dict[int, OnEnd] = {}
        self._unclaimed: dict[int, int] | None = {}
        reader, writer = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        signal.set_wakeup_fd(writer, warn_on_full_buffer=False)  # the handler is the zygote's
        self._reader = reader
        loop.watch(reader, IN, self._reap)

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

    def has_ended(self, pid: int) -> bool:
        """Whether *pid* has been reaped, unclaimed: its number may belong to another by now."""
        return self._unclaimed is not None and pid in self._unclaimed

    def forget_unclaimed(self) -> None:
        """From now on drop the ends of processes nobody asked for."""
        self._unclaimed = None

    def adopt(self, pid: int) -> None:
        """Reap *pid*, a fork of this process, without telling anybody."""
        self._waiting[pid] = _ignore

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
