"""Attached streams: detach keys, half-close, full pipes in both directions."""

from __future__ import annotations

import _socket
import _thread
import os
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from moorage.cli import detachkeys
from moorage.cli.duplex import Duplex
from moorage.cli.failure import CommandError
from moorage.cli.globaloptions import GLOBAL_OPTIONS
from moorage.cli.options import Values
from moorage.cli.output import Output
from moorage.cli.session import Session
from moorage.client.http import Wire
from moorage.client.stdcopy import Demultiplexer, FrameError
from moorage.client.transport import SocketConnection


@pytest.mark.parametrize(
    ("text", "keys"),
    [
        ("", b"\x10\x11"),
        ("ctrl-x", b"\x18"),
        ("a,ctrl-@,ctrl-[", b"a\x00\x1b"),
        ("ctrl-_", b"\x1f"),
    ],
)
def test_detach_keys(text: str, keys: bytes) -> None:
    assert detachkeys.parse(text) == keys


@pytest.mark.parametrize("text", ["ctrl-1", "ab", "ctrl-", "a,,b", "é"])
def test_detach_keys_that_cannot_be(text: str) -> None:
    with pytest.raises(CommandError, match="invalid detach keys"):
        detachkeys.parse(text)


def test_the_sequence_may_come_in_pieces_and_what_is_not_it_passes() -> None:
    watcher = detachkeys.Watcher(b"\x10\x11")
    assert watcher.feed(b"ab\x10") == (b"ab", False)
    assert watcher.feed(b"\x10c") == (b"\x10\x10c", False)
    assert watcher.feed(b"d\x10") == (b"d", False)
    assert watcher.feed(b"\x11rest") == (b"", True)


@given(st.lists(st.binary(max_size=6), max_size=8))
def test_keys_without_the_sequence_all_pass(pieces: list[bytes]) -> None:
    watcher = detachkeys.Watcher(b"\xff\xfe")
    typed = b"".join(pieces).replace(b"\xff", b"")
    passed, detached = watcher.feed(typed)
    assert (passed, detached) == (typed, False)


def frame(stream: int, payload: bytes) -> bytes:
    return bytes([stream, 0, 0, 0]) + len(payload).to_bytes(4, "big") + payload


@given(
    st.lists(st.tuples(st.sampled_from([1, 2]), st.binary(max_size=20)), max_size=6),
    st.integers(min_value=1, max_value=9),
)
def test_frames_survive_any_cutting(frames: list[tuple[int, bytes]], size: int) -> None:
    data = b"".join(frame(*f) for f in frames)
    demultiplexer = Demultiplexer()
    found: dict[int, bytes] = {1: b"", 2: b""}
    for at in range(0, len(data), size):
        for stream, payload in demultiplexer.feed(data[at : at + size]):
            found[stream] += payload
    for stream in (1, 2):
        assert found[stream] == b"".join(payload for s, payload in frames if s == stream)


def test_an_error_of_the_daemon_inside_the_stream_is_raised() -> None:
    with pytest.raises(FrameError, match="disk on fire"):
        Demultiplexer().feed(frame(3, b"disk on fire"))
    with pytest.raises(FrameError, match="Unrecognized input header: 72"):
        Demultiplexer().feed(b"HTTP/1.1 200 OK\r\n")


class Ends:
    """Standard input and output of a session, and the daemon's end of its connection."""

    def __init__(self) -> None:
        self.stdin_read, self.stdin_write = os.pipe()
        self.stdout_read, self.stdout_write = os.pipe()
        ours, self.daemon = _socket.socketpair()
        self.wire = Wire(SocketConnection(ours))
        self.session = Session(Values(GLOBAL_OPTIONS), {})
        self.session.out = Output(self.stdout_write)
        self.saved = os.dup(0)
        os.dup2(self.stdin_read, 0)
        os.close(self.stdin_read)

    def close(self) -> None:
        os.dup2(self.saved, 0)
        for descriptor in (self.saved, self.stdout_read, self.stdout_write):
            os.close(descriptor)
        self.daemon.close()
        self.wire.connection.close()


@pytest.fixture
def ends() -> Iterator[Ends]:
    made = Ends()
    yield made
    made.close()


def test_the_end_of_input_is_passed_on_and_output_still_comes(ends: Ends) -> None:
    os.write(ends.stdin_write, b"question")
    os.close(ends.stdin_write)

    def serve() -> None:
        asked = b""
        while received := ends.daemon.recv(100):
            asked += received
        ends.daemon.sendall(frame(1, b"answer to " + asked))
        ends.daemon.shutdown(_socket.SHUT_WR)

    _thread.start_new_thread(serve, ())
    Duplex(ends.session, ends.wire, raw=False, stdin=True).run()
    assert os.read(ends.stdout_read, 100) == b"answer to question"


def test_full_pipes_in_both_directions_do_not_lock_up(ends: Ends) -> None:
    """An echo that never has more than a little in hand, and much more to say than fits a pipe."""
    total = 8 << 20
    got = _thread.allocate_lock()
    got.acquire()
    received: list[int] = []

    def echo() -> None:
        while data := ends.daemon.recv(65536):
            ends.daemon.sendall(data)
        ends.daemon.shutdown(_socket.SHUT_WR)

    def feed() -> None:
        for _ in range(total // 65536):
            os.write(ends.stdin_write, b"x" * 65536)
        os.close(ends.stdin_write)

    def drain() -> None:
        count = 0
        while count < total:
            count += len(os.read(ends.stdout_read, 65536))
        received.append(count)
        got.release()

    for work in (echo, feed, drain):
        _thread.start_new_thread(work, ())
    Duplex(ends.session, ends.wire, raw=True, stdin=True).run()
    with got:
        assert received == [total]


def test_the_detach_keys_end_it_and_are_not_sent(ends: Ends) -> None:
    os.write(ends.stdin_write, b"ls\x10\x11")
    duplex = Duplex(ends.session, ends.wire, raw=True, stdin=True, detach_keys=b"\x10\x11")
    duplex.run()
    assert duplex.detached
    assert ends.daemon.recv(10) == b"ls"
    os.close(ends.stdin_write)


def test_bytes_that_came_with_the_answers_head_are_shown_first(ends: Ends) -> None:
    ends.wire.buffer += b"early "
    ends.daemon.sendall(b"late")
    ends.daemon.shutdown(_socket.SHUT_WR)
    Duplex(ends.session, ends.wire, raw=True, stdin=False).run()
    assert os.read(ends.stdout_read, 100) == b"early late"
    os.close(ends.stdin_write)
