"""The keeper: the parent of a container's process, small enough to wait as long as that lives.

A monitor copies most of the pages it shares with the zygote, for it uses them (decision 0009). So
one with nothing to do ends, and what it held waits for the next, which the keeper forks as soon as
there is something to do::

    zygote ──fork──► keeper ──fork──► monitor ──► OCI runtime ──► process,
                       │ ◄── at rest ──┘                          soon a child of the keeper
                       │
                       │ ◄── output, a client, an out-of-memory kill, the end
                       └──fork──► monitor …

The keeper is blocked in one call or another all the time: whatever it did would cost it memory. It
never sees what a monitor leaves: the note, with its descriptors, stays in a socket of the keeper's,
both of whose ends every monitor inherits. A monitor that ends otherwise leaves nothing to keep.
"""

from __future__ import annotations

import _socket
import select
import time

from moor_shim import lean
from moor_shim.bare import TYPE_CHECKING, Struct, os, prctl, signal

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Final, NoReturn

AT_REST: Final = 75  # exit status of a monitor that has left a note

_PR_SET_PDEATHSIG: Final = 1  # linux/prctl.h
_PR_SET_CHILD_SUBREAPER: Final = 36
_END: Final = Struct("=ii")  # pid and status of a child, as wait(2) gives them
_NOTE: Final = 1 << 17  # bytes; longer ones do not fit into a message
_RETRY_S: Final = 0.05


class Link:
    """What a keeper and its monitors share: a socket pair, and what wakes the keeper."""

    def __init__(self) -> None:
        self.ours, self._theirs = _socket.socketpair(lean.AF_UNIX, lean.SOCK_SEQPACKET)
        self.alarm = select.epoll()

    def be_bound(self) -> bool:
        """End with the keeper from now on; whether it is still there."""
        parent = os.getppid()
        prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        return parent == os.getppid()

    def fileno(self) -> int:
        """Return what is readable when the keeper tells of an end."""
        return self._theirs.fileno()

    def end(self) -> tuple[int, int] | None:
        """Return pid and status of a child of the keeper that has ended, if there is one."""
        try:
            pid, status = _END.unpack(self._theirs.recv(_END.size, _socket.MSG_DONTWAIT))
        except BlockingIOError:
            return None
        return pid, status

    def leave(self, note: bytes, held: list[tuple[int, int]]) -> bool:
        """Leave *note* and descriptors to the next monitor; whether that was possible.

        *held*: each with the events (``EPOLLIN`` and others, or 0) that are to wake it.
        """
        if len(note) > _NOTE or len(held) >= lean.MAX_FDS:
            return False
        try:
            alarm = select.epoll()  # one for each rest: it goes with all that is registered in it
            for fd, events in held:
                if events:
                    alarm.register(fd, events)
            self.alarm.register(alarm, select.EPOLLIN)
            lean.send(self._theirs, note, (alarm.fileno(), *(fd for fd, _ in held)))
        except OSError:  # no memory, or too many descriptors under way: the alarm is closed here
            return False
        return True

    def take(self) -> tuple[bytes, list[int]]:
        """Return what the last monitor has left."""
        note, (alarm, *held) = lean.receive(self.ours, _NOTE)
        os.close(alarm)
        return note, held


def be_parent(name: bytes, *, of_orphans: bool = True) -> None:
    """Take this *name*, and have the ends of children kept until they are asked for."""
    prctl(_PR_SET_CHILD_SUBREAPER, int(of_orphans))
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    lean.take_name(name)


def keep(first: int, become: Callable[[Link, int], NoReturn]) -> None:
    """Return when a monitor has left nothing.

    *become* makes a fork of this process a monitor; *first* is the socket of its client, and -1 for
    all monitors but the first. One function, for each has a page of its own.
    Raises: OSError (there cannot be a first monitor).
    """
    link = Link()
    monitor = os.fork()
    while monitor:
        if first >= 0:
            os.close(first)
            first = -1
        while True:
            pid, status = os.waitpid(-1, 0)
            if pid == monitor:
                break
            _tell(link, monitor, pid, status)
        if status != AT_REST << 8:
            return
        link.alarm.poll()
        monitor = -1
        while monitor < 0:
            try:
                monitor = os.fork()
            except OSError:  # what there is to do does not go away
                time.sleep(_RETRY_S)
    become(link, first)


def _tell(link: Link, monitor: int, pid: int, status: int) -> None:
    """Tell *monitor*, if it lives, of the end of another child."""
    while True:
        try:
            link.ours.send(_END.pack(pid, status), _socket.MSG_DONTWAIT)
        except BlockingIOError:  # it was stopped, under a flood of orphans
            if os.waitid(os.P_PID, monitor, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None:
                return
            time.sleep(_RETRY_S)
        else:
            return
