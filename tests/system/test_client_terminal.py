"""``moor`` on a real terminal: raw mode, sizes, detach keys, exit statuses, signals."""

from __future__ import annotations

import fcntl
import os
import pty
import select
import signal
import struct
import termios
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from support.cli import Cli

pytestmark = pytest.mark.requires("root", "overlayfs")

TIMEOUT_S = 20.0


class Terminal:
    """A client with a terminal of its own; ``text`` is everything it showed."""

    def __init__(self, moor: Cli, *arguments: str) -> None:
        self.pid, self.descriptor = pty.fork()
        if self.pid == 0:  # the child
            os.execve(moor.program, [moor.program, *arguments], moor.environment)  # noqa: S606
        self.text = ""
        self.resize(30, 100)

    def resize(self, rows: int, columns: int) -> None:
        size = struct.pack("HHHH", rows, columns, 0, 0)
        fcntl.ioctl(self.descriptor, termios.TIOCSWINSZ, size)

    def type(self, text: str) -> None:
        os.write(self.descriptor, text.encode())

    def wait_for(self, wanted: str) -> None:
        """Read until *wanted* is shown after what was waited for before."""
        deadline = time.monotonic() + TIMEOUT_S
        while wanted not in self.text:
            assert self._read(deadline), f"{wanted!r} is not in {self.text!r}"
        self.text = self.text.partition(wanted)[2]

    def status(self) -> int:
        """Read to the end and return the exit status."""
        deadline = time.monotonic() + TIMEOUT_S
        while self._read(deadline):
            pass
        return os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])

    def _read(self, deadline: float) -> bool:
        left = max(0.0, deadline - time.monotonic())
        ready, _, _ = select.select([self.descriptor], [], [], left)
        assert ready, f"nothing more after {self.text!r}"
        try:
            shown = os.read(self.descriptor, 4096)
        except OSError:
            return False
        self.text += shown.decode(errors="replace")
        return bool(shown)


@pytest.fixture
def terminal(moor: Cli) -> Iterator[Callable[..., Terminal]]:
    """Return a starter of clients on terminals."""
    started: list[Terminal] = []

    def start(*arguments: str) -> Terminal:
        started.append(Terminal(moor, *arguments))
        return started[-1]

    yield start
    for one in started:
        os.close(one.descriptor)


def test_run_gives_the_container_the_terminal_and_its_changes(
    terminal: Callable[..., Terminal],
) -> None:
    shell = terminal("run", "--rm", "-it", "--name", "shell", "busybox", "sh")
    shell.wait_for("# ")
    shell.type("stty size\n")
    shell.wait_for("30 100")
    shell.resize(41, 121)
    shell.type("sleep 0.3; stty size; exit 5\n")
    shell.wait_for("41 121")
    assert shell.status() == 5


def test_detach_keys_leave_it_running_and_attach_comes_back(
    terminal: Callable[..., Terminal], moor: Cli
) -> None:
    shell = terminal("run", "-it", "--name", "shell", "busybox", "sh")
    shell.wait_for("# ")
    shell.type("\x10\x11")
    assert shell.status() == 0
    assert moor("ps", "--format", "{{.Names}}") == "shell"
    again = terminal("attach", "--detach-keys", "ctrl-x,x", "shell")
    again.wait_for("# ")  # a change of size made it draw its prompt anew
    again.type("echo $((40+2))\n")
    again.wait_for("42")
    again.type("\x18x")
    again.wait_for("read escape sequence")
    assert again.status() == 1
    moor("rm", "-f", "shell")


def test_exec_on_a_terminal(terminal: Callable[..., Terminal], moor: Cli) -> None:
    moor("run", "-d", "--name", "host", "busybox", "sleep", "1000")
    shell = terminal("exec", "-it", "host", "sh")
    shell.wait_for("# ")
    shell.type("tty; exit 9\n")
    shell.wait_for("/dev/pts/")
    assert shell.status() == 9


def test_the_terminal_is_cooked_again_afterwards(terminal: Callable[..., Terminal]) -> None:
    shell = terminal("run", "--rm", "-it", "--name", "shell", "busybox", "sh")
    shell.wait_for("# ")
    assert not termios.tcgetattr(shell.descriptor)[3] & termios.ICANON
    shell.type("exit\n")
    flags = 0
    deadline = time.monotonic() + TIMEOUT_S
    while not flags & termios.ICANON and time.monotonic() < deadline:
        flags = termios.tcgetattr(shell.descriptor)[3]
    assert flags & termios.ICANON
    assert flags & termios.ECHO
    assert shell.status() == 0


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGUSR1])
def test_signals_are_passed_on(moor: Cli, number: signal.Signals) -> None:
    name = number.name.removeprefix("SIG")
    script = f"trap 'echo got {name}; exit 7' {name}; echo ready; while :; do sleep 0.1; done"
    with moor.start("run", "--rm", "--name", "trap", "busybox", "sh", "-c", script) as running:
        assert running.stdout is not None
        assert running.stdout.readline() == b"ready\n"
        running.send_signal(number)
        assert running.stdout.read() == f"got {name}\n".encode()
    assert running.returncode == 7


def test_the_third_request_to_end_is_the_clients_own_end(moor: Cli) -> None:
    script = "trap 'echo no' INT; echo ready; while :; do sleep 0.1; done"
    with moor.start("run", "--name", "deaf", "busybox", "sh", "-c", script) as running:
        assert running.stdout is not None
        assert running.stdout.readline() == b"ready\n"
        for _ in range(2):
            running.send_signal(signal.SIGINT)
            assert running.stdout.readline() == b"no\n"
        running.send_signal(signal.SIGINT)
        assert running.stderr is not None
        assert running.stderr.read() == b"\ngot 3 SIGTERM/SIGINTs, forcefully exiting\n"
    assert running.returncode == 1
    assert moor("inspect", "-f", "{{.State.Running}}", "deaf") == "true"


def test_closed_standard_streams_are_not_taken_for_the_daemons(moor: Cli) -> None:
    command = f"exec {moor.program} run --rm -i busybox sh -c 'cat; echo end' <&-"
    shell = Cli("sh", moor.socket, moor.home)
    assert shell("-c", command) == "end"


def test_a_build_is_drawn_anew_while_its_step_is_silent(
    terminal: Callable[..., Terminal], moor: Cli, tmp_path: Path
) -> None:
    """What came right after a redraw is shown without waiting for more news, and time goes on."""
    (tmp_path / "Dockerfile").write_text("FROM busybox\nRUN echo before; sleep 300\n")
    shell = terminal("build", "--no-cache", str(tmp_path))
    shell.wait_for("# before")
    shell.wait_for("[+] Building ")
    shell.wait_for("[+] Building ")
    shell.type("\x03")
    assert shell.status() == 130
    moor("version")


def test_a_failed_build_step_can_be_entered(
    terminal: Callable[..., Terminal], moor: Cli, tmp_path: Path
) -> None:
    (tmp_path / "Dockerfile").write_text("FROM busybox\nRUN echo before > /state\nRUN exit 7\n")
    unnamed = moor("images", "-q", "--filter", "dangling=true")
    build = terminal("build", "--network", "none", "--debug", str(tmp_path))
    build.wait_for("a shell in the state just before the failed step")
    build.wait_for("# ")
    build.type("cat /state; exit\n")
    build.wait_for("before")
    assert build.status() == 1
    assert moor("ps", "-aq") == ""
    assert moor("images", "-q", "--filter", "dangling=true") == unnamed
    moor("builder", "prune", "-af")
