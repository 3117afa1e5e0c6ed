"""Sockets that the API is served on: Unix, TCP, TLS, and those handed over by systemd."""

from __future__ import annotations

import asyncio
import functools
import grp
import logging
import os
import socket
import stat
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from moorage.api.connection import Connection
from moorage.api.origin import HostCheck
from moorage.api.server import Server
from moorage.daemon.config import Config
from moorage.daemon.hosts import DEFAULT_PORT, DEFAULT_TLS_PORT, HostAddress, parse_host
from moorage.daemon.validate import require_guarded
from moorage.lib.errors import InvalidParameter, System

if TYPE_CHECKING:
    import ssl

log = logging.getLogger(__name__)
_FIRST_INHERITED_FD: Final = 3  # sd_listen_fds(3)
_BACKLOG: Final = 1024
_KEEPALIVE: Final = ((socket.TCP_KEEPIDLE, 30), (socket.TCP_KEEPINTVL, 10), (socket.TCP_KEEPCNT, 3))


@dataclass(slots=True)
class Listener:
    """One bound socket."""

    socket: socket.socket
    address: str  # as it was asked for
    kind: str  # "unix", "tcp", "tls"
    path: Path | None = None  # of a Unix socket that we made, to be removed at the end

    def close(self) -> None:
        """Close, and take the file away."""
        self.socket.close()
        if self.path is not None:
            with suppress(FileNotFoundError):
                self.path.unlink()


def default_host(config: Config) -> str:
    """Return what is listened on when nothing is said."""
    return f"unix://{config.exec_root}/moord.sock"


def bind_all(config: Config) -> list[Listener]:
    """Bind every ``-H``; all or nothing.

    Raises: InvalidParameter, System.
    """
    listeners: list[Listener] = []
    try:
        for text in config.hosts or [default_host(config)]:
            listeners += _bind(parse_host(text), text, config)
    except BaseException:
        for listener in listeners:
            listener.close()
        raise
    return listeners


def _bind(address: HostAddress, text: str, config: Config) -> list[Listener]:
    if address.kind == "fd":
        return _inherited(address.path, text, config)
    try:
        if address.kind == "unix":
            return [_bind_unix(Path(address.path), text, config.group)]
        return _bind_tcp(address, text, secure=bool(config.tls or config.tlsverify))
    except OSError as error:
        raise System(f"cannot listen on {text}: {error.strerror or error}") from error


def _bind_unix(path: Path, text: str, group: str) -> Listener:
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.is_symlink() or (path.exists() and not stat.S_ISSOCK(path.stat().st_mode)):
        raise System(f"cannot listen on {text}: something that is no socket is there")
    if path.exists():
        if _is_served(path):
            raise System(f"cannot listen on {text}: another process serves it")
        path.unlink()
    unix = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    mask = os.umask(0o177)  # the socket must not be open to others even for a moment
    try:
        unix.bind(str(path))
    except OSError:
        unix.close()
        raise
    finally:
        os.umask(mask)
    os.chown(path, 0, _group_id(group))
    path.chmod(0o660)
    unix.listen(_BACKLOG)
    return Listener(unix, text, "unix", path)


def _is_served(path: Path) -> bool:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        try:
            probe.connect(str(path))
        except OSError:
            return False
    return True


def _group_id(group: str) -> int:
    """Return the group of the socket: by name or number; ``docker`` if there is one, else root."""
    if group.isdecimal():
        return int(group)
    try:
        return grp.getgrnam(group or "docker").gr_gid
    except KeyError as error:
        if not group:
            return 0
        raise InvalidParameter(f"invalid configuration: group: no group named {group!r}") from error


def _bind_tcp(address: HostAddress, text: str, *, secure: bool) -> list[Listener]:
    port = address.port or (DEFAULT_TLS_PORT if secure else DEFAULT_PORT)
    listeners: list[Listener] = []
    for family, kind, protocol, _, target in socket.getaddrinfo(
        address.host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
    ):
        tcp = socket.socket(family, kind, protocol)
        try:
            tcp.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            if family == socket.AF_INET6:
                tcp.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            tcp.bind(target)
            tcp.listen(_BACKLOG)
        except OSError:
            tcp.close()
            for listener in listeners:
                listener.close()
            raise
        listeners.append(Listener(tcp, text, "tls" if secure else "tcp"))
    return listeners


def _inherited(name: str, text: str, config: Config) -> list[Listener]:
    """Take over the sockets of socket activation: all, or those of that name or number."""
    if os.environ.get("LISTEN_PID") != str(os.getpid()):
        raise System(f"cannot listen on {text}: no sockets were handed over by systemd")
    names = os.environ.get("LISTEN_FDNAMES", "").split(":")
    listeners: list[Listener] = []
    for index in range(int(os.environ.get("LISTEN_FDS", "0"))):
        number = _FIRST_INHERITED_FD + index
        if name not in {"", str(number), names[index] if index < len(names) else ""}:
            continue
        os.set_inheritable(number, False)  # noqa: FBT003 - the signature is the module's
        inherited = socket.socket(fileno=number)
        os.set_inheritable(number, False)  # noqa: FBT003
        kind = "unix"
        if inherited.family != socket.AF_UNIX:
            require_guarded(config, text)
            kind = "tls" if config.tls or config.tlsverify else "tcp"
        listeners.append(Listener(inherited, text, kind))
    if not listeners:
        raise System(f"cannot listen on {text}: no socket of that name was handed over")
    return listeners


async def serve(
    server: Server,
    listeners: Sequence[Listener],
    *,
    tls: ssl.SSLContext | None,
    allowed_hosts: Sequence[str],
) -> list[asyncio.Server]:
    """Start to accept connections on every listener."""
    loop = asyncio.get_running_loop()
    host_check = HostCheck([*allowed_hosts, *(_named_host(x.address) for x in listeners)])
    servers: list[asyncio.Server] = []
    factory: Callable[[], asyncio.Protocol]
    for listener in listeners:
        listener.socket.setblocking(False)  # noqa: FBT003
        kind, check = listener.kind, host_check if listener.kind == "tcp" else None
        if kind != "unix":
            listener.socket.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
            for option, value in _KEEPALIVE:
                listener.socket.setsockopt(socket.IPPROTO_TCP, option, value)

        factory = functools.partial(Connection, server, kind, check)
        if kind == "tls":
            assert tls is not None  # noqa: S101 - no TLS listener is made without
            from moorage.api.tls import Handshakes, TlsProtocol  # noqa: PLC0415 - loads OpenSSL

            factory = functools.partial(TlsProtocol, tls, Handshakes(), factory)
        if listener.socket.family == socket.AF_UNIX:
            acceptor = await loop.create_unix_server(
                factory, sock=listener.socket, backlog=_BACKLOG
            )
        else:
            acceptor = await loop.create_server(factory, sock=listener.socket, backlog=_BACKLOG)
        servers.append(acceptor)
        log.info("API listen on %s", listener.address)
    return servers


def _named_host(address: str) -> str:
    return parse_host(address).host
