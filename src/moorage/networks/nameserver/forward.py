"""Asking the resolvers outside: one socket for each question, time-outs, the next server's turn.

Each question goes out from a port and with an id of its own, so an answer cannot be forged by who
does not see it. A server that fails to answer is asked last for a while, or until it answers again;
of several that failed, the one whose failure is longest ago is asked first.
"""

from __future__ import annotations

import heapq
import os
import select
import socket
import struct
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Final

from moorage.kernel import namespaces
from moorage.networks.nameserver import message
from moorage.networks.nameserver.loop import Loop

ATTEMPT_S: Final = 1.5
TOTAL_S: Final = 6.0
PENALTY_S: Final = 10.0
LIMIT: Final = 2048  # questions under way at once; beyond it the oldest resolvers' habit: SERVFAIL
_RECEIVE_BYTES: Final = 65535
_RETRY_CODES: Final = frozenset({message.SERVFAIL, message.REFUSED, message.NOTIMP})

Reply = Callable[[bytes], None]


class Question:
    """A question under way."""

    __slots__ = (
        "asked",
        "buffer",
        "deadline",
        "id",
        "last",
        "namespace",
        "query",
        "reply",
        "sent",
        "servers",
        "socket",
        "started",
        "tcp",
    )  # fmt: skip

    def __init__(
        self,
        query: bytes,
        servers: list[str],
        namespace: int | None,
        reply: Reply,
        *,
        tcp: bool,
    ) -> None:
        self.query = query
        self.servers = servers
        self.namespace = namespace
        self.reply = reply
        self.tcp = tcp
        self.asked = 0
        self.started = time.monotonic()
        self.deadline = 0.0
        self.id = 0
        self.socket: socket.socket | None = None
        self.sent = b""
        self.buffer = b""
        self.last = b""  # a server's refusal, passed on if nobody does better


class Forwarder:
    """Asks others; single-threaded, driven by the server's loop."""

    def __init__(self, loop: Loop) -> None:
        self._loop = loop
        self._open_questions = 0
        self._deadlines: list[tuple[float, int, Question]] = []
        self._count = 0
        self._slow: dict[str, float] = {}  # server: until when it is asked last
        self._home = os.open("/proc/self/ns/net", os.O_RDONLY | os.O_CLOEXEC)

    def ask(
        self,
        query: bytes,
        servers: list[str],
        reply: Reply,
        *,
        namespace: int | None = None,
        tcp: bool = False,
    ) -> None:
        """Ask *servers* in turn; *reply* gets the whole answer, with the query's id, once."""
        now = time.monotonic()
        ordered = sorted(servers, key=lambda s: max(self._slow.get(s, 0.0) - now, 0.0))
        question = Question(query, ordered, namespace, reply, tcp=tcp)
        if self._open_questions >= LIMIT:
            self._give_up(question)
        else:
            self._next(question)

    def next_deadline(self) -> float | None:
        """Return when ``expire`` has something to do."""
        return self._deadlines[0][0] if self._deadlines else None

    def expire(self) -> None:
        """Go on with the questions whose server did not answer in time."""
        now = time.monotonic()
        while self._deadlines and self._deadlines[0][0] <= now:
            deadline, _, question = heapq.heappop(self._deadlines)
            if question.socket is not None and question.deadline == deadline:
                self._slow[question.servers[question.asked - 1]] = now + PENALTY_S
                self._close(question)
                self._next(question)

    def _next(self, question: Question) -> None:
        while question.asked < len(question.servers):
            if time.monotonic() - question.started > TOTAL_S:
                break
            server = question.servers[question.asked]
            question.asked += 1
            try:
                self._send(question, server)
            except OSError:
                self._close(question)
                continue
            return
        self._give_up(question)

    def _send(self, question: Question, server: str) -> None:
        question.id = int.from_bytes(os.urandom(2), "big")
        outgoing = question.id.to_bytes(2, "big") + question.query[2:]
        opened = self._open(server, question.namespace, tcp=question.tcp)
        question.socket = opened
        self._open_questions += 1
        question.buffer = b""
        question.sent = outgoing
        if question.tcp:
            question.sent = struct.pack("!H", len(outgoing)) + outgoing
            events = select.EPOLLIN | select.EPOLLOUT
        else:
            opened.send(outgoing)
            events = select.EPOLLIN
        self._watch(question, opened, events)
        question.deadline = time.monotonic() + ATTEMPT_S
        self._count += 1
        heapq.heappush(self._deadlines, (question.deadline, self._count, question))

    def _open(self, server: str, namespace: int | None, *, tcp: bool) -> socket.socket:
        family = socket.AF_INET6 if ":" in server else socket.AF_INET
        kind = socket.SOCK_STREAM if tcp else socket.SOCK_DGRAM
        if namespace is not None:
            namespaces.setns(namespace, namespaces.CLONE_NEWNET)
        try:
            opened = socket.socket(family, kind | socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC)
        finally:
            if namespace is not None:
                namespaces.setns(self._home, namespaces.CLONE_NEWNET)
        try:
            address = socket.getaddrinfo(server, 53, family, kind, 0, socket.AI_NUMERICHOST)
            with suppress(BlockingIOError):
                opened.connect(address[0][4])
        except BaseException:
            opened.close()
            raise
        return opened

    def _watch(self, question: Question, sock: socket.socket, events: int) -> None:
        self._loop.watch(sock.fileno(), events, lambda got: self._ready(question, got))

    def _ready(self, question: Question, events: int) -> None:
        if question.socket is None:
            return
        try:
            answer = (
                self._step_tcp(question, question.socket, events)
                if question.tcp
                else question.socket.recv(_RECEIVE_BYTES)
            )
        except BlockingIOError:
            return
        except OSError:  # refused, unreachable
            self._close(question)
            self._next(question)
            return
        if answer is not None:
            self._judge(question, answer)

    def _step_tcp(self, question: Question, sock: socket.socket, events: int) -> bytes | None:
        if question.sent and events & (select.EPOLLOUT | select.EPOLLERR | select.EPOLLHUP):
            question.sent = question.sent[sock.send(question.sent) :]
            if not question.sent:
                self._watch(question, sock, select.EPOLLIN)
        if not events & (select.EPOLLIN | select.EPOLLHUP):
            return None
        received = sock.recv(_RECEIVE_BYTES)
        if not received:
            raise ConnectionResetError
        question.buffer += received
        if len(question.buffer) < 2:
            return None
        size = int.from_bytes(question.buffer[:2], "big")
        return question.buffer[2 : 2 + size] if len(question.buffer) >= 2 + size else None

    def _judge(self, question: Question, answer: bytes) -> None:
        if not _belongs(answer, question):
            return  # somebody's guess: wait for the true one
        self._slow.pop(question.servers[question.asked - 1], None)
        self._close(question)
        whole = question.query[:2] + answer[2:]
        if answer[3] & 0xF in _RETRY_CODES and question.asked < len(question.servers):
            question.last = whole
            self._next(question)
        else:
            question.reply(whole)

    def _give_up(self, question: Question) -> None:
        if question.last:
            question.reply(question.last)
        elif (query := message.parse_query(question.query)) is not None:
            question.reply(message.answer(query, message.SERVFAIL))

    def _close(self, question: Question) -> None:
        if question.socket is not None:
            self._loop.forget(question.socket.fileno())
            question.socket.close()
            question.socket = None
            self._open_questions -= 1


def _belongs(answer: bytes, question: Question) -> bool:
    """Whether *answer* is a response with our id to the very question that was asked."""
    if len(answer) < message.HEADER.size or int.from_bytes(answer[:2], "big") != question.id:
        return False
    if not answer[2] & 0x80:
        return False
    _, end = message.read_name(question.query, message.HEADER.size)
    asked = question.query[message.HEADER.size : end + 4]
    given = answer[message.HEADER.size : message.HEADER.size + len(asked)]
    return given.lower() == asked.lower() or (answer[4:6] == b"\0\0" and answer[3] & 0xF != 0)
