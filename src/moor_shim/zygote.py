"""The zygote: a small warm process that becomes a monitor by fork, in a millisecond.

It has one thread, no state and nothing but the standard library; it ends with the daemon, while
the monitors it has become go on.
"""

from __future__ import annotations

import gc
import os
import sys

from moor_shim import lean, monitor, protocol, rehearsal
from moor_shim.bare import TYPE_CHECKING, prctl, signal, suppress
from moor_shim.sinks import jsonfile, lines, local, rotation

if TYPE_CHECKING:
    from typing import Final

PR_SET_CHILD_SUBREAPER: Final = 36  # linux/prctl.h
_WARM: Final = (jsonfile, lines, local, rotation)  # shared by all monitors, loaded once


def serve(requests: lean.Socket) -> None:
    """Fork a monitor for each socket received, until the daemon goes.

    Signal handlers are set here, for monitors inherit them: setting them costs a monitor memory.
    """
    this = os.getpid()

    def child_ended(_signum: int, _frame: object) -> None:
        if os.getpid() == this:  # in a monitor the loop is woken, and reaps
            with suppress(ChildProcessError):
                while os.waitpid(-1, os.WNOHANG)[0]:
                    pass

    signal.signal(signal.SIGCHLD, child_ended)
    for ignored in (signal.SIGHUP, signal.SIGINT, signal.SIGTERM):
        signal.signal(ignored, signal.SIG_IGN)  # a monitor outlives whoever is told to stop
    gc.collect()
    gc.disable()
    gc.freeze()  # a collection would touch, and so copy, the shared pages
    while True:
        message, fds = lean.receive(requests, 64)
        if not message:
            return
        try:
            pid = os.fork()
        except OSError:
            pid = -1  # closing the socket tells the daemon
        if pid == 0:
            requests.close()
            _become_monitor(fds[0])
        for fd in fds:
            os.close(fd)


def _become_monitor(control: int) -> None:
    code = 1
    try:
        os.setsid()
        prctl(PR_SET_CHILD_SUBREAPER, 1)
        lean.write_if_allowed("/proc/self/comm", b"moor-monitor")
        monitor.main(lean.Socket(fileno=control))
        code = 0
    except BaseException:  # noqa: BLE001 - the last frame: say why, then go
        lean.append_traceback(protocol.ERROR_FILE)
    finally:
        os._exit(code)


def main() -> None:
    """Serve the daemon, which has left us three descriptors."""
    os.umask(0o022)  # the runtime makes directories inside of containers with it
    os.fchdir(protocol.PLACE_FD)
    os.closerange(
        protocol.MEMBERS_FD + 1, os.sysconf("SC_OPEN_MAX")
    )  # whatever the daemon's parent leaked
    lean.write_if_allowed("/proc/self/comm", b"moor-zygote")
    lean.write_if_allowed("/proc/self/oom_score_adj", b"-999")  # a lost monitor is a lost end
    for fd in (protocol.REQUEST_FD, protocol.MEMBERS_FD):
        os.set_inheritable(fd, False)  # noqa: FBT003
    rehearsal.rehearse(protocol.MEMBERS_FD)
    os.chdir("/proc")  # holds no file system, and takes no stray file of a monitor without a task
    serve(lean.Socket(fileno=protocol.REQUEST_FD))
    sys.exit(0)
