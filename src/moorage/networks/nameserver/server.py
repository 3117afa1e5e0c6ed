"""The name server itself: sockets in the containers' namespaces, answers from memory or outside.

Every sandbox has a UDP and a TCP socket bound at 127.0.0.11 inside its namespace; the daemon made
them and handed them over, so this program never needs to enter one to listen.
"""

from __future__ import annotations

import select
import socket
import struct
import time
from contextlib import suppress
from typing import Final

from moorage.networks.nameserver import message
from moorage.networks.nameserver.forward import Forwarder, Reply
from moorage.networks.nameserver.hostresolvers import HostResolvers
from moorage.networks.nameserver.loop import Loop
from moorage.networks.nameserver.zones import View, Zone, resolve

_BURST: Final = 64  # datagrams of one socket before others have their turn
_CACHED: Final = 4096  # answers kept for one sandbox
_MAX_QUERY: Final = 4096
_MAX_CONNECTIONS: Final = 64  # of one sandbox
_MAX_UNSENT: Final = 1 << 16  # bytes of answers; a client that has more of them is not heard on
_IDLE_S: Final = 10.0


class Sandbox:
    """One container's sockets and view."""

    def __init__(self, udp: socket.socket, tcp: socket.socket, namespace: int) -> None:
        self.udp = udp
        self.tcp = tcp
        self.namespace = namespace
        self.view = View([], {}, [])
        self.told = False  # what its view is: until then questions wait in the sockets
        self.servers: list[str] | None = []  # [] = never ask outside, None = as the host does
        self.inside = False  # ask from the container's namespace, not from the host's
        self.cache: dict[bytes, list[bytes]] = {}  # query without id: turns without id
        self.connections: set[Connection] = set()


class Connection:
    """A TCP client."""

    def __init__(self, sock: socket.socket) -> None:
        self.socket = sock
        self.received = b""
        self.unsent = b""
        self.last = time.monotonic()


class Server:
    """All sandboxes and zones, and how queries are answered."""

    def __init__(self, loop: Loop) -> None:
        self.loop = loop
        self.forwarder = Forwarder(loop)
        self.zones: dict[str, Zone] = {}
        self.sandboxes: dict[str, Sandbox] = {}
        self.host = HostResolvers()
        self._turn = 0

    def add(self, name: str, udp: socket.socket, tcp: socket.socket, namespace: int) -> None:
        """Take one more sandbox; its questions wait until it is opened."""
        self.remove(name)
        sandbox = Sandbox(udp, tcp, namespace)
        self.sandboxes[name] = sandbox
        udp.settimeout(0)
        tcp.settimeout(0)

    def take_account(self, zones: dict[str, Zone]) -> None:
        """Serve these zones from now on, and every sandbox whose view is known."""
        self.zones = zones
        for sandbox in self.sandboxes.values():
            if sandbox.told:
                self.open(sandbox)

    def open(self, sandbox: Sandbox) -> None:
        """Answer a sandbox's questions from now on: its view and the zones are known."""
        self.loop.watch(sandbox.udp.fileno(), select.EPOLLIN, lambda _: self._serve_udp(sandbox))
        self.loop.watch(sandbox.tcp.fileno(), select.EPOLLIN, lambda _: self._accept(sandbox))

    def remove(self, name: str) -> None:
        """Serve a sandbox no longer; its namespace is let go."""
        sandbox = self.sandboxes.pop(name, None)
        if sandbox is None:
            return
        for sock in (sandbox.udp, sandbox.tcp):
            self.loop.forget(sock.fileno())
            sock.close()
        for connection in list(sandbox.connections):
            self._close(sandbox, connection)
        with suppress(OSError):
            socket.close(sandbox.namespace)

    def forget_answers(self) -> None:
        """Names have changed: work out every answer anew."""
        for sandbox in self.sandboxes.values():
            sandbox.cache.clear()

    def run(self, until: float) -> None:
        """Serve until the monotonic clock says *until*, or a little earlier."""
        deadline = self.forwarder.next_deadline()
        limit = until if deadline is None else min(until, deadline)
        self.loop.turn(max(0.0, limit - time.monotonic()))
        self.forwarder.expire()

    def close_idle(self) -> None:
        """Close TCP clients that have been silent for long."""
        now = time.monotonic()
        for sandbox in self.sandboxes.values():
            for connection in list(sandbox.connections):
                if now - connection.last > _IDLE_S:
                    self._close(sandbox, connection)

    def _serve_udp(self, sandbox: Sandbox) -> None:
        sock, cache = sandbox.udp, sandbox.cache
        for _ in range(_BURST):
            try:
                datagram, peer = sock.recvfrom(_MAX_QUERY)
            except OSError:  # nothing more; or an ICMP error for an earlier answer
                return
            turns = cache.get(datagram[2:])
            if turns is None:
                self._answer_udp(sandbox, datagram, peer)
                continue
            self._turn += 1
            with suppress(OSError):
                sock.sendto(datagram[:2] + turns[self._turn % len(turns)], peer)

    def _answer_udp(self, sandbox: Sandbox, datagram: bytes, peer: tuple[str, int]) -> None:
        def reply(answer: bytes) -> None:
            with suppress(OSError):
                sandbox.udp.sendto(answer, peer)

        query = message.parse_query(datagram)
        if query is None:
            return
        if (turns := self._own(sandbox, query)) is not None:
            if not query.error:
                if len(sandbox.cache) >= _CACHED:
                    sandbox.cache.clear()
                sandbox.cache[datagram[2:]] = [turn[2:] for turn in turns]
            reply(turns[0])
            return
        self._forward(sandbox, datagram, reply, tcp=False)

    def _own(self, sandbox: Sandbox, query: message.Query) -> list[bytes] | None:
        """Return the turns of an answer that is ours to give; None if outside must be asked."""
        if query.error:
            return [message.answer(query, query.error)]
        turns = resolve(sandbox.view, self.zones, query)
        if turns is None and not self._servers(sandbox):
            return [message.answer(query, message.SERVFAIL)]
        return turns

    def _servers(self, sandbox: Sandbox) -> list[str]:
        return self.host.servers() if sandbox.servers is None else sandbox.servers

    def _forward(self, sandbox: Sandbox, datagram: bytes, reply: Reply, *, tcp: bool) -> None:
        self.forwarder.ask(
            datagram,
            self._servers(sandbox),
            reply,
            namespace=sandbox.namespace if sandbox.inside else None,
            tcp=tcp,
        )

    def _accept(self, sandbox: Sandbox) -> None:
        try:
            accepted, _ = sandbox.tcp.accept()
        except OSError:
            return
        if len(sandbox.connections) >= _MAX_CONNECTIONS:
            accepted.close()
            return
        accepted.settimeout(0)
        connection = Connection(accepted)
        sandbox.connections.add(connection)
        self._watch(sandbox, connection)

    def _watch(self, sandbox: Sandbox, connection: Connection) -> None:
        events = select.EPOLLIN if len(connection.unsent) < _MAX_UNSENT else 0
        events |= select.EPOLLOUT if connection.unsent else 0
        self.loop.watch(
            connection.socket.fileno(), events, lambda got: self._step(sandbox, connection, got)
        )

    def _step(self, sandbox: Sandbox, connection: Connection, events: int) -> None:
        connection.last = time.monotonic()
        try:
            if events & select.EPOLLOUT:
                self._flush(sandbox, connection)
            if events & (select.EPOLLIN | select.EPOLLHUP):
                received = connection.socket.recv(_MAX_QUERY)
                if not received:
                    raise ConnectionResetError
                connection.received += received
                self._take_queries(sandbox, connection)
        except BlockingIOError:
            return
        except OSError:
            self._close(sandbox, connection)

    def _take_queries(self, sandbox: Sandbox, connection: Connection) -> None:
        while len(connection.received) >= 2:
            (size,) = struct.unpack_from("!H", connection.received)
            if size > _MAX_QUERY:
                raise ConnectionResetError
            if len(connection.received) < 2 + size:
                return
            datagram = connection.received[2 : 2 + size]
            connection.received = connection.received[2 + size :]
            self._answer_tcp(sandbox, connection, datagram)

    def _answer_tcp(self, sandbox: Sandbox, connection: Connection, datagram: bytes) -> None:
        def reply(answer: bytes) -> None:
            if connection in sandbox.connections:
                connection.unsent += struct.pack("!H", len(answer)) + answer
                with suppress(OSError):
                    self._flush(sandbox, connection)

        query = message.parse_query(datagram)
        if query is None:
            return
        if (turns := self._own(sandbox, query._replace(size=65535))) is not None:
            self._turn += 1
            reply(turns[self._turn % len(turns)])
            return
        self._forward(sandbox, datagram, reply, tcp=True)

    def _flush(self, sandbox: Sandbox, connection: Connection) -> None:
        with suppress(BlockingIOError):
            sent = connection.socket.send(connection.unsent)
            connection.unsent = connection.unsent[sent:]
        self._watch(sandbox, connection)

    def _close(self, sandbox: Sandbox, connection: Connection) -> None:
        sandbox.connections.discard(connection)
        self.loop.forget(connection.socket.fileno())
        connection.socket.close()
