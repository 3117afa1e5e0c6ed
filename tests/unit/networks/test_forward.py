"""Whom the name server asks first, after failures and after answers."""

import socket
import time

import dnslib  # type: ignore[import-untyped]
import pytest

from moorage.networks.nameserver import forward
from moorage.networks.nameserver.forward import Forwarder
from moorage.networks.nameserver.loop import Loop


class Resolvers(Forwarder):
    """A forwarder whose servers are this test: it sees the questions and answers some."""

    def __init__(self, loop: Loop) -> None:
        super().__init__(loop)
        self.loop = loop
        self.asked: list[str] = []
        self.silent: set[str] = set()
        self._far: list[socket.socket] = []

    def _open(self, server: str, namespace: int | None, *, tcp: bool) -> socket.socket:
        del namespace, tcp
        near, far = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
        near.settimeout(0)
        self.asked.append(server)
        self._far.append(far)
        return near

    def answer(self) -> None:
        """Answer the last question, unless it was asked of one that is silent."""
        far = self._far.pop()
        if self.asked[-1] not in self.silent:
            far.send(dnslib.DNSRecord.parse(far.recv(4000)).reply().pack())
        far.close()


@pytest.fixture
def resolvers(monkeypatch: pytest.MonkeyPatch) -> Resolvers:
    monkeypatch.setattr(forward, "ATTEMPT_S", 0.01)
    return Resolvers(Loop())


def ask(resolvers: Resolvers) -> list[str]:
    """Ask two servers; return which were asked, in turn."""
    before = len(resolvers.asked)
    replies: list[bytes] = []
    question = dnslib.DNSRecord.question("www.example.com").pack()
    resolvers.ask(question, ["one", "two"], replies.append)
    while not replies:
        resolvers.answer()
        resolvers.loop.turn(0.02)
        if (deadline := resolvers.next_deadline()) is not None and not replies:
            time.sleep(max(0.0, deadline - time.monotonic()))
            resolvers.expire()
    return resolvers.asked[before:]


def test_a_server_that_was_silent_is_asked_last(resolvers: Resolvers) -> None:
    resolvers.silent = {"one"}
    assert ask(resolvers) == ["one", "two"]
    assert ask(resolvers) == ["two"]


def test_a_server_that_answers_again_is_asked_before_one_that_does_not(
    resolvers: Resolvers,
) -> None:
    resolvers.silent = {"one", "two"}
    assert ask(resolvers) == ["one", "two"]
    resolvers.silent = {"one"}
    assert ask(resolvers) == ["one", "two"]
    assert ask(resolvers) == ["two"]
