"""Byte streams to a daemon: unix sockets and TCP on the bare ``_socket`` module.

TLS and ssh live in modules of their own, loaded only when a host asks for them. Everything above
sees one small shape, ``Connection``; its descriptor can be polled.
"""

from __future__ import annotations

import _socket

from moorage.lib.errors import Unavailable

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Protocol

    from moorage.client.endpoint import Endpoint

    class Connection(Protocol):
        """One duplex byte stream."""

        def fileno(self) -> int:
            """Return the descriptor to poll."""

        def pending(self) -> bool:
            """Return whether decrypted bytes wait that polling the descriptor would not show."""

        def recv(self, size: int) -> bytes:
            """Return at least one byte, or ``b""`` at the end; blocks unless told otherwise."""

        def send(self, data: bytes | memoryview) -> int:
            """Send some of *data*; BlockingIOError when not blocking and full."""

        def sendall(self, data: bytes | memoryview) -> None:
            """Send all of *data*."""

        def setblocking(self, flag: bool, /) -> None:  # noqa: FBT001 - as sockets spell it
            """Choose between blocking and BlockingIOError."""

        def close_write(self) -> None:
            """Say that no more bytes follow, and keep reading."""

        def close(self) -> None:
            """Close both directions."""


class Unreachable(Unavailable):
    """No daemon answers at the address."""


class SocketConnection:
    """A connected stream socket."""

    def __init__(self, sock: _socket.socket) -> None:
        self.sock = sock
        self.fileno = sock.fileno
        self.recv = sock.recv
        self.send = sock.send
        self.sendall = sock.sendall
        self.setblocking = sock.setblocking
        self.close = sock.close

    def pending(self) -> bool:
        """Return False: the kernel's buffer is the only one."""
        return False

    def close_write(self) -> None:
        """Shut down the sending side."""
        try:
            self.sock.shutdown(_socket.SHUT_WR)
        except OSError:
            return  # the peer is gone already: reading will say so


def connect(endpoint: Endpoint) -> Connection:
    """Open a connection to *endpoint*.

    Raises: Unreachable, InvalidParameter (an address that cannot be one).
    """
    if endpoint.scheme == "ssh":
        from moorage.client import ssh

        return SocketConnection(ssh.connect(endpoint))
    try:
        if endpoint.scheme == "unix":
            sock = _connect_unix(endpoint.address)
        else:
            sock = _connect_tcp(endpoint.address)
    except PermissionError as e:
        message = (
            "permission denied while trying to connect to the daemon socket "
            f"at {endpoint.host}: {e.strerror}"
        )
        raise Unreachable(message, hint="join the socket's group, or use sudo") from e
    except OSError as e:
        raise Unreachable(*unreachable(endpoint, e)) from e
    if endpoint.tls is None:
        return SocketConnection(sock)
    from moorage.client import tls

    return tls.connect(sock, endpoint)


def unreachable(endpoint: Endpoint, cause: OSError) -> tuple[str]:
    """Word the failure to connect as Docker does, with what to try."""
    lines = [
        f"Cannot connect to the daemon at {endpoint.host}. Is the daemon running?",
        f"  reason: {cause.strerror or cause}",
    ]
    if endpoint.scheme == "unix":
        lines.append("  try: 'systemctl start moord' or 'sudo moord &', or name another with -H")
    else:
        lines.append("  try: check the address and port, and that the daemon listens on TCP")
    return ("\n".join(lines),)


def _connect_unix(path: str) -> _socket.socket:
    sock = _socket.socket(_socket.AF_UNIX, _socket.SOCK_STREAM)
    try:
        sock.connect(path)
    except OSError:
        sock.close()
        raise
    return sock


def _connect_tcp(address: str) -> _socket.socket:
    host, _, port = address.rpartition(":")
    found = _socket.getaddrinfo(host.strip("[]"), port, 0, _socket.SOCK_STREAM)
    failure: OSError | None = None
    for family, kind, protocol, _, target in found:
        sock = _socket.socket(family, kind, protocol)
        try:
            sock.connect(target)
        except OSError as e:
            sock.close()
            failure = e
        else:
            sock.setsockopt(_socket.IPPROTO_TCP, _socket.TCP_NODELAY, 1)
            return sock
    raise failure or OSError(f"no address for {host}")
