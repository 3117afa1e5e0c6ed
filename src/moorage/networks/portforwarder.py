"""A process that forwards one published port to a container of the other IP version.

The kernel translates addresses, but never between IPv4 and IPv6: what comes to ``[::1]:8080`` and
is to go to a container that has IPv4 alone is read and written here. It outlives the daemon, as
what it serves does, and ends with the sandbox: when its handle is gone.

``main()`` takes the listening socket as descriptor 3, and its arguments: the handle of the
sandbox's namespace, the protocol (tcp, udp), the container's address and port.
"""

from __future__ import annotations

import asyncio
import resource
import signal
import socket
import sys
from contextlib import suppress
from pathlib import Path
from typing import Final, cast

_LOOK_S: Final = 5.0  # how often to see whether the sandbox is still there
_UDP_IDLE_S: Final = 90.0  # after that a client of UDP has a new conversation
_MOST_CONVERSATIONS: Final = 4096
_ENOUGH: Final = 1 << 18  # bytes on their way in one direction, until the sender has to wait


class _Side(asyncio.Protocol):
    """One connection of the two that belong together; what it receives goes to the other."""

    def __init__(self, other: _Side | None = None) -> None:
        self.other = other
        self.transport: asyncio.Transport | None = None
        self.received_all = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Note where to write."""
        self.transport = cast("asyncio.Transport", transport)
        self.transport.set_write_buffer_limits(high=_ENOUGH)

    def data_received(self, data: bytes) -> None:
        """Hand on."""
        if self.other is not None and self.other.transport is not None:
            self.other.transport.write(data)

    def pause_writing(self) -> None:
        """Let the other wait, for it is not taken as fast as it gives."""
        if self.other is not None and self.other.transport is not None:
            self.other.transport.pause_reading()

    def resume_writing(self) -> None:
        """Take from the other again."""
        if self.other is not None and self.other.transport is not None:
            self.other.transport.resume_reading()

    def eof_received(self) -> bool:
        """Hand on the end of one direction; the other direction may go on."""
        self.received_all = True
        other = self.other
        if other is None or other.transport is None or other.received_all:
            self._close_both()
        else:
            other.transport.write_eof()
        return True

    def connection_lost(self, exc: Exception | None) -> None:
        """End the other as this one ended."""
        self.transport = None
        if self.other is not None and self.other.transport is not None:
            if exc is not None:
                self.other.transport.abort()
            else:
                self.other.transport.close()

    def _close_both(self) -> None:
        for side in (self, self.other):
            if side is not None and side.transport is not None:
                side.transport.close()


class _Inbound(_Side):
    """A client's connection; little is taken from it until the container has answered the call."""

    def __init__(self, target: tuple[str, int], tasks: set[asyncio.Task[None]]) -> None:
        super().__init__()
        self._target = target
        self._tasks = tasks
        self._early: list[bytes] = []

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Call the container."""
        super().connection_made(transport)
        task = asyncio.get_running_loop().create_task(self._call())
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def data_received(self, data: bytes) -> None:
        """Hand on, or keep until the call is answered."""
        if self.other is not None:
            super().data_received(data)
            return
        self._early.append(data)
        if self.transport is not None:
            self.transport.pause_reading()

    def eof_received(self) -> bool:
        """Hand on the end, or leave that to who answers the call."""
        if self.other is not None:
            return super().eof_received()
        self.received_all = True
        return True

    async def _call(self) -> None:
        outbound = _Side(self)
        try:
            await asyncio.get_running_loop().create_connection(lambda: outbound, *self._target)
        except OSError:  # nobody listens in the container: as if nobody did here
            if self.transport is not None:
                self.transport.abort()
            return
        if outbound.transport is None:  # it has ended already
            return
        if self.transport is None:  # the client has gone meanwhile
            outbound.transport.close()
            return
        self.other = outbound
        for data in self._early:
            outbound.transport.write(data)
        self._early.clear()
        if self.received_all:
            outbound.transport.write_eof()
        else:
            self.transport.resume_reading()


class _Answers(asyncio.DatagramProtocol):
    """What the container sends to one client of UDP."""

    def __init__(self, inbound: _Datagrams, client: tuple[str, int]) -> None:
        self._inbound = inbound
        self._client = client

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        """Hand on."""
        del addr
        self._inbound.answer(data, self._client)


class _Datagrams(asyncio.DatagramProtocol):
    """Clients of UDP, each with a socket of its own towards the container."""

    def __init__(self, target: tuple[str, int]) -> None:
        self._target = target
        self._loop = asyncio.get_running_loop()
        self._transport: asyncio.DatagramTransport | None = None
        self._conversations: dict[tuple[str, int], tuple[asyncio.DatagramTransport, float]] = {}
        self._waiting: dict[tuple[str, int], list[bytes]] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Note where to answer."""
        self._transport = cast("asyncio.DatagramTransport", transport)

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        """Hand on, in the client's conversation."""
        known = self._conversations.get(addr)
        if known is not None:
            self._conversations[addr] = (known[0], self._loop.time())
            known[0].sendto(data)
        elif addr in self._waiting:
            self._waiting[addr].append(data)
        elif len(self._conversations) + len(self._waiting) < _MOST_CONVERSATIONS:
            self._waiting[addr] = [data]
            task = self._loop.create_task(self._begin(addr))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _begin(self, client: tuple[str, int]) -> None:
        try:
            transport, _ = await self._loop.create_datagram_endpoint(
                lambda: _Answers(self, client), remote_addr=self._target
            )
        except OSError:
            del self._waiting[client]
            return
        self._conversations[client] = (transport, self._loop.time())
        for data in self._waiting.pop(client):
            transport.sendto(data)

    def answer(self, data: bytes, client: tuple[str, int]) -> None:
        """Send to a client what the container said."""
        if self._transport is not None and client in self._conversations:
            self._conversations[client] = (self._conversations[client][0], self._loop.time())
            self._transport.sendto(data, client)

    def forget_idle(self) -> None:
        """End the conversations in which nobody has said anything for a while."""
        limit = self._loop.time() - _UDP_IDLE_S
        for client, (transport, last) in list(self._conversations.items()):
            if last < limit:
                del self._conversations[client]
                transport.close()


async def _serve(protocol: str, listener: socket.socket, target: tuple[str, int]) -> None:
    """Forward until the sandbox is gone."""
    loop = asyncio.get_running_loop()
    handle = Path(sys.argv[1])
    datagrams: _Datagrams | None = None
    tasks: set[asyncio.Task[None]] = set()
    if protocol == "udp":
        _, datagrams = await loop.create_datagram_endpoint(
            lambda: _Datagrams(target), sock=listener
        )
    else:
        await loop.create_server(lambda: _Inbound(target, tasks), sock=listener)
    while handle.exists():  # noqa: ASYNC240 - of a memory file system
        await asyncio.sleep(_LOOK_S)
        if datagrams is not None:
            datagrams.forget_idle()


def main() -> None:
    """Forward one port."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the daemon's terminal is not ours
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    with suppress(OSError, ValueError):
        hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    protocol, address, port = sys.argv[2:5]
    listener = socket.socket(fileno=3)
    listener.settimeout(0)
    asyncio.run(_serve(protocol, listener, (address, int(port))))
