"""The name server's place inside a sandbox: 127.0.0.11, and how port 53 there leads to it.

A program in the container may bind port 53 of every address, so the sockets are bound to other
ports and packets are rewritten on their way out. The rewriting keeps no state: connection
tracking, which would cost every packet of the container, is never switched on for it.
"""

from __future__ import annotations

import os
import socket
from pathlib import Path
from typing import Final

from moorage.netlink.nft import Nft
from moorage.networks import sandbox

ADDRESS: Final = "127.0.0.11"
_BACKLOG: Final = 64
_BUFFER_BYTES: Final = 1 << 20  # queries that wait while the server is busy elsewhere


class NameSockets:
    """The sockets of one sandbox and its namespace, to be handed to the name server."""

    def __init__(self, udp: socket.socket, tcp: socket.socket, namespace: int) -> None:
        self.udp = udp
        self.tcp = tcp
        self.namespace = namespace

    def fds(self) -> list[int]:
        """Return the descriptors in the order of the protocol."""
        return [self.udp.fileno(), self.tcp.fileno(), self.namespace]

    def close(self) -> None:
        """Close our side, after handing over or instead of it."""
        self.udp.close()
        self.tcp.close()
        os.close(self.namespace)


def listen(*, fresh: bool = True) -> NameSockets:
    """Open the sockets in the calling thread's network namespace and lead port 53 to them.

    *fresh*: it is done for the first time there. A replaced table costs 10 ms more: the kernel
    waits for all its readers before it lets the socket be closed.
    Raises: OSError, System. Blocking.
    """
    udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC)
    tcp = socket.socket(socket.AF_INET, socket.SOCK_STREAM | socket.SOCK_CLOEXEC)
    try:
        udp.bind((ADDRESS, 0))
        udp.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _BUFFER_BYTES)
        tcp.bind((ADDRESS, 0))
        tcp.listen(_BACKLOG)
        nft = Nft()
        try:
            old = "" if fresh else "add table ip moorage\ndelete table ip moorage\n"
            nft.run(old + _rules(udp.getsockname()[1], tcp.getsockname()[1]))
        finally:
            nft.close()
        namespace = os.open("/proc/thread-self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
    except BaseException:
        udp.close()
        tcp.close()
        raise
    return NameSockets(udp, tcp, namespace)


def listen_in(handle: Path) -> NameSockets:
    """Do so in the namespace at *handle*; the calling thread stays there. Blocking."""
    sandbox.enter(handle)
    return listen(fresh=False)


def _rules(udp: int, tcp: int) -> str:
    # Questions are rewritten before connection tracking and answers after it, so that a container
    # that tracks connections for purposes of its own sees both ends of one and the same.
    return f"""table ip moorage {{
  chain ask {{
    type filter hook output priority -300; policy accept;
    ip daddr {ADDRESS} udp dport 53 udp dport set {udp}
    ip daddr {ADDRESS} tcp dport 53 tcp dport set {tcp}
  }}
  chain answer {{
    type filter hook output priority 300; policy accept;
    ip saddr {ADDRESS} udp sport {udp} udp sport set 53
    ip saddr {ADDRESS} tcp sport {tcp} tcp sport set 53
  }}
}}"""
