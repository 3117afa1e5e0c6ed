"""The steps of a monitor and of a keeper, taken by the zygote itself before it becomes any.

The interpreter writes to memory also where a program only reads: it keeps what it learns of the
code that runs, and of the attributes looked up, beside that code. What has been learned before
the fork is shared by all monitors; learned after it, each would hold it in pages of its own.
"""

from __future__ import annotations

import _socket
import gc

from moor_shim import lean, protocol
from moor_shim.bare import TYPE_CHECKING, exit_now, os, signal, suppress
from moor_shim.keeper import AT_REST, Link, be_parent, keep
from moor_shim.loop import IN, Loop
from moor_shim.monitor import Monitor

if TYPE_CHECKING:
    from typing import Final, NoReturn

NAME: Final = b"moor-zygote"
_ROUNDS: Final = 12  # after eight calls the interpreter specialises a function
_LIMIT_S: Final = 1.0
_ANSWER: Final = 65536
_RUNTIME: Final = "/bin/echo"  # its words are the process's output
_DIRECTORY: Final = "rehearsal"
_FIFO: Final = "start"
_LOGS: Final = ("json-file", "local")


def rehearse(last_fd: int) -> None:
    """Make, start, leave and hear out a container that is none, several times.

    In a directory below the current one, which afterwards is another. Descriptors above
    *last_fd* are closed. What fails is left out: nothing depends on it.
    """
    directory = f"{os.getcwd()}/{_DIRECTORY}"
    with suppress(OSError):
        with suppress(FileExistsError):  # of a zygote that was killed in its own
            os.mkdir(directory, 0o700)
        os.chdir(directory)
        _clear()
        lean.replace(protocol.PID_FILE, str(os.getpid()).encode())
        for number in range(_ROUNDS):
            os.mkfifo(_FIFO, 0o600)
            _live(directory, _LOGS[number % len(_LOGS)])
        _clear()
        os.rmdir(directory)
    signal.set_wakeup_fd(-1)
    with suppress(OSError):
        for _ in range(_ROUNDS):
            be_parent(NAME)
            keep(os.dup(last_fd), _pass_through)
    be_parent(NAME, of_orphans=False)
    gc.collect()  # before their descriptors are closed: they would close others' later
    os.closerange(last_fd + 1, os.sysconf("SC_OPEN_MAX"))


def _clear() -> None:
    for name in os.listdir():
        os.unlink(name)


def _live(directory: str, log: str) -> None:
    loop, link = Loop(), Link()
    ours, theirs = _socket.socketpair(lean.AF_UNIX, lean.SOCK_STREAM)
    monitor = Monitor(loop, link)
    monitor.accept(theirs)
    fifo = os.open(_FIFO, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    next_steps = [{"op": "hello", "id": 3}, {"op": "start", "id": 2}]

    def answered(_events: int) -> None:
        lean.receive(ours, _ANSWER)
        if next_steps:
            ours.send(protocol.encode(next_steps.pop()))
        else:
            monitor.rest()

    loop.watch(ours.fileno(), IN, answered)
    loop.after(_LIMIT_S, loop.stop)
    ours.send(protocol.encode({"op": "create", "id": 1, **_job(directory, log)}))
    loop.run()
    os.close(fifo)
    if monitor.at_rest:
        again = Loop()
        Monitor(again, link).resume(link)
        again.after(0, again.stop)
        again.run()


def _pass_through(link: Link, first: int) -> NoReturn:
    """Be a monitor that leaves something to do and an orphan, then one that has nothing to do."""
    code = 0
    try:
        if first >= 0 and os.fork() and link.leave(b"{}", [(os.eventfd(1), IN)]):
            code = AT_REST
    finally:
        exit_now(code)


def _job(directory: str, log: str) -> protocol.Message:
    """Return an order as the daemon's, see ``moorage.runtime.bundle.job``."""
    return {
        "kind": "container",
        "container_id": "rehearsal",
        "directory": directory,
        "runtime": [_RUNTIME],
        "sealed": False,
        "attach": None,
        "rests": True,
        "start_fifo": f"{directory}/{_FIFO}",
        "plain_state": None,
        "cgroup": None,
        "cgroups": [],
        "oom": None,
        "io": {
            "tty": False,
            "open_stdin": False,
            "stdin_once": False,
            "console_size": None,
            "program": "",
            "log": {
                "driver": log,
                "options": {"max-size": "20m", "max-file": "5"},
                "path": f"{directory}/{log}",
                "attributes": {},
                "tags": {},
            },
        },
    }
