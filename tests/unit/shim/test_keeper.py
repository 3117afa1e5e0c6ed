"""A keeper with monitors that are none: what is left is found, and ends are told of."""

from __future__ import annotations

import os
import posix  # what the monitor takes for os
import signal
from collections.abc import Callable
from typing import NoReturn

import pytest

from moor_shim.keeper import AT_REST, Link, be_parent, keep
from moor_shim.loop import IN

Act = Callable[[Link], int]


def run(first_act: Act, later_act: Act, *, failing_forks: int = 0) -> int:
    """Keep, in a child, monitors that act so; return the child's exit status, 0 for success."""
    pid = os.fork()
    if pid:
        return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    code = 1
    try:
        be_parent(b"keeper")
        _fail(failing_forks)

        def become(link: Link, first: int) -> NoReturn:
            code = 99
            try:
                code = (first_act if first >= 0 else later_act)(link)
            finally:
                os._exit(code)

        keep(os.dup(2), become)
        code = 0
    finally:
        os._exit(code)


def _fail(times: int) -> None:
    """Let all forks but the first fail so often."""
    real, left = posix.fork, [0] * times
    calls: list[int] = []

    def fork() -> int:
        calls.append(1)
        if len(calls) > 1 and left:
            left.pop()
            raise BlockingIOError(11, "no more processes")
        return real()

    posix.fork = fork


def ends(_link: Link) -> int:
    return 0


@pytest.mark.parametrize("failing_forks", [0, 2])
def test_what_one_leaves_the_next_finds(failing_forks: int) -> None:
    report, told = os.pipe()

    def leaves(link: Link) -> int:
        reader, writer = os.pipe()
        os.write(writer, b"output")
        assert link.leave(b"note", [(reader, IN), (told, 0)])
        return AT_REST

    def finds(link: Link) -> int:
        note, (reader, writer) = link.take()
        os.write(writer, note + b" and " + os.read(reader, 100))
        return 0

    assert run(leaves, finds, failing_forks=failing_forks) == 0
    assert os.read(report, 100) == b"note and output"
    os.close(report)
    os.close(told)


def test_a_monitor_is_told_how_an_orphan_ended() -> None:
    report, told = os.pipe()

    def makes_an_orphan(link: Link) -> int:
        reader, writer = os.pipe()
        between = os.fork()
        if between == 0:
            if orphan := os.fork():
                os.write(writer, str(orphan).encode())
                os._exit(0)
            os.kill(os.getpid(), signal.SIGTERM)
        os.waitpid(between, 0)
        orphan = int(os.read(reader, 20))
        while (end := link.end()) is None:
            os.sched_yield()
        os.write(told, str((end[0] == orphan, end[1])).encode())
        return 0

    assert run(makes_an_orphan, ends) == 0
    assert os.read(report, 100) == str((True, int(signal.SIGTERM))).encode()
    os.close(report)
    os.close(told)


def test_a_note_that_no_message_holds_is_not_left() -> None:
    def tries(link: Link) -> int:
        too_long = link.leave(b"x" * (1 << 18), [])
        too_many = link.leave(b"x", [(0, 0)] * 40)
        return 50 if too_long or too_many else 0

    assert run(tries, ends) == 0
