"""The monitor's event loop and children."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from moor_shim import loop as loops
from moor_shim.children import Children
from moor_shim.loop import IN, Loop
from moor_shim.stdio import Stdio


@pytest.fixture
def children(loop: Loop) -> Iterator[Children]:
    before = signal.signal(signal.SIGCHLD, lambda *_: None)
    yield Children(loop)
    signal.set_wakeup_fd(-1)
    signal.signal(signal.SIGCHLD, before)


@pytest.fixture
def loop() -> Loop:
    return Loop()


def test_timers_come_in_order(loop: Loop) -> None:
    seen: list[str] = []
    loop.after(0.003, loop.stop)
    loop.after(0.002, lambda: seen.append("late"))
    loop.after(0.001, lambda: seen.append("early"))
    loop.run()
    assert seen == ["early", "late"]


def test_fault_in_a_handler_is_noted_and_survived(
    loop: Loop, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)

    def broken() -> None:
        raise ZeroDivisionError

    loop.after(0, broken)
    loop.after(0.001, loop.stop)
    loop.run()
    assert "ZeroDivisionError" in (tmp_path / "monitor.err").read_text()


def test_endless_faults_end_the_monitor(
    loop: Loop, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    read, write = os.pipe()
    os.write(write, b"never read")
    calls = []

    def broken(_events: int) -> None:
        calls.append(1)
        raise ValueError("broken")

    loop.watch(read, IN, broken)
    with pytest.raises(ValueError, match="broken"):
        loop.run()
    assert len(calls) == loops.MAX_FAULTS + 1
    os.close(read)
    os.close(write)


def test_end_of_a_child_is_told(loop: Loop, children: Children) -> None:
    codes: list[int] = []
    null = os.open("/dev/null", os.O_RDWR)

    def over(code: int) -> None:
        codes.append(code)
        if len(codes) == 2:
            loop.stop()

    for script in ("exit 7", "kill -9 $$"):
        children.spawn(["/bin/sh", "-c", script], (null, null, null), over)
    loop.run()
    os.close(null)
    assert sorted(codes) == [7, 137]


def test_end_before_the_claim_is_kept(loop: Loop, children: Children) -> None:
    pid = os.posix_spawn("/bin/sh", ["sh", "-c", "exit 3"], {})
    loop.after(0.001, lambda: wait_for(children, pid))
    codes: list[int] = []

    def wait_for(kept: Children, wanted: int) -> None:
        pidfd = kept.open(wanted)
        if pidfd < 0:
            loop.stop()
        else:
            os.close(pidfd)
            loop.after(0.001, lambda: wait_for(kept, wanted))

    loop.run()
    children.claim(pid, codes.append)
    assert codes == [3]


class Client:
    """An output of the streams."""

    def __init__(self) -> None:
        self.got = b""
        self.is_full = False

    def output(self, _stream: int, chunk: bytes) -> None:
        self.got += chunk

    def full(self) -> bool:
        return self.is_full


def test_output_waits_for_a_full_client(loop: Loop) -> None:
    stdio = Stdio(loop, tty=False, open_stdin=False)
    child_in, child_out, child_err = stdio.open()
    client = Client()
    client.is_full = True
    stdio.outputs.append(client)
    stdio.begin()
    os.write(child_out, b"x")
    loop.after(0.01, loop.stop)
    loop.run()
    assert client.got == b""
    client.is_full = False
    stdio.refresh()
    for fd in (child_in, child_out, child_err):
        os.close(fd)
    stdio.drain()
    assert client.got == b"x"
    assert stdio.ended()
    stdio.close()


def test_a_drain_ends_though_others_write_on(loop: Loop) -> None:
    """What an exec leaves behind may write for ever into the same pipe."""
    stdio = Stdio(loop, tty=False, open_stdin=False)
    ends = stdio.open()
    got = 0

    class Writer(Client):
        def output(self, _stream: int, chunk: bytes) -> None:
            nonlocal got
            got += len(chunk)
            assert got < 10 << 20, "it never ends"
            os.write(ends[1], b"x" * len(chunk))

    stdio.outputs.append(Writer())
    os.write(ends[1], b"x" * 65536)
    stdio.drain()
    assert got >= 65536
    assert not stdio.ended()
    for fd in ends:
        os.close(fd)
    stdio.close()


def test_stdin_holds_back_its_clients(loop: Loop) -> None:
    stdio = Stdio(loop, tty=False, open_stdin=True)
    child_in, child_out, child_err = stdio.open()
    spaces: list[bool] = []
    stdio.on_stdin_space = lambda: spaces.append(stdio.stdin_full())
    stdio.write_stdin(b"x" * 300_000)
    assert stdio.stdin_full()
    stdio.close_stdin()
    read = 0

    def drain(_events: int) -> None:
        nonlocal read
        chunk = os.read(child_in, 65536)
        read += len(chunk)
        if not chunk:
            loop.stop()

    loop.watch(child_in, IN, drain)
    loop.run()
    assert spaces == [False]
    assert read == 300_000
    for fd in (child_out, child_err):
        os.close(fd)
    stdio.close()
