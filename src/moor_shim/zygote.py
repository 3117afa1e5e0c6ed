"""The zygote: a small warm process that becomes a monitor by fork, in a millisecond.

It has one thread, no state and nothing but the standard library; it ends with the daemon, while
the monitors it has become go on.
"""

from __future__ import annotations

import _socket
import gc
import sys

from moor_shim import keeper, lean, monitor, protocol, rehearsal
from moor_shim.bare import TYPE_CHECKING, Struct, exit_now, os, signal, suppress
from moor_shim.sinks import jsonfile, lines, local, rotation

if TYPE_CHECKING:
    from typing import Final, NoReturn

_KIND: Final = 16  # bytes
_INT: Final = Struct("i")
_ROOM: Final = _socket.CMSG_LEN(_INT.size)
_WARM: Final = (jsonfile, lines, local, rotation)  # shared by all monitors, loaded once


def serve() -> None:
    """Fork a monitor, or a keeper, for each socket received, until the daemon goes."""
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # nobody asks how they end: the kernel reaps them
    for ignored in (signal.SIGHUP, signal.SIGINT, signal.SIGTERM):
        signal.signal(ignored, signal.SIG_IGN)  # a monitor outlives whoever is told to stop
    gc.collect()
    gc.disable()
    gc.freeze()  # a collection would touch, and so copy, the shared pages
    requests = lean.Socket(fileno=protocol.REQUEST_FD)
    while True:
        kind, passed, _, _ = requests.recvmsg(_KIND, _ROOM, _socket.MSG_CMSG_CLOEXEC)
        if not kind:
            return
        (first,) = _INT.unpack(passed[0][2])
        try:
            pid = os.fork()
        except OSError:
            pid = -1  # closing the socket tells the daemon
        if pid == 0:
            os.close(protocol.REQUEST_FD)
            _become(kind, first)
        os.close(first)


def _become(kind: bytes, first: int) -> NoReturn:
    """Be the parent of a process to be: a monitor, or one that is to outlast many of them."""
    code = 1
    try:
        if kind == protocol.CONTAINER:
            keeper.be_parent(b"moor-keeper")
            keeper.keep(first, _become_monitor)
        else:
            keeper.be_parent(b"moor-monitor")
            monitor.main(first)
        code = 0
    except BaseException:  # noqa: BLE001 - the last frame: say why, then go
        lean.append_traceback(protocol.ERROR_FILE)
    finally:
        exit_now(code)


def _become_monitor(link: keeper.Link, first: int) -> NoReturn:
    code = 1
    try:
        lean.take_name(b"moor-monitor")
        if link.be_bound():
            code = keeper.AT_REST if monitor.main(first, link) else 0
    except BaseException:  # noqa: BLE001 - the last frame: say why, then go
        lean.append_traceback(protocol.ERROR_FILE)
    finally:
        exit_now(code)


def main() -> None:
    """Serve the daemon, which has left us three descriptors."""
    with suppress(PermissionError):  # it leads a session already
        os.setsid()  # monitors stay in it: a signal to the daemon's group is not for them
    os.umask(0o022)  # the runtime makes directories inside of containers with it
    os.fchdir(protocol.PLACE_FD)
    os.closerange(
        protocol.MEMBERS_FD + 1, os.sysconf("SC_OPEN_MAX")
    )  # whatever the daemon's parent leaked
    lean.take_name(rehearsal.NAME)
    lean.write_if_allowed("/proc/self/oom_score_adj", b"-999")  # a lost monitor is a lost end
    for fd in (protocol.REQUEST_FD, protocol.MEMBERS_FD):
        os.set_inheritable(fd, False)  # noqa: FBT003
    rehearsal.rehearse(protocol.MEMBERS_FD)
    os.chdir("/proc")  # holds no file system, and takes no stray file of a monitor without a task
    serve()
    sys.exit(0)
