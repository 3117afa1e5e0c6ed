"""Addresses that the daemon listens on: ``unix:///path``, ``tcp://host:port``, ``fd://name``."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from moorage.lib.errors import InvalidParameter

DEFAULT_PORT: Final = 2375
DEFAULT_TLS_PORT: Final = 2376


@dataclass(frozen=True, slots=True)
class HostAddress:
    """One ``-H``."""

    kind: str  # "unix", "tcp", "fd"
    path: str = ""  # unix: the socket; fd: name or number of the inherited socket, "" = all
    host: str = ""
    port: int = 0  # 0 = the default port


def parse_host(text: str) -> HostAddress:
    """Parse one ``-H``.

    Raises: InvalidParameter.
    """
    scheme, separator, rest = text.partition("://")
    if not separator:
        if text.startswith("/"):
            return HostAddress("unix", path=text)
        scheme, rest = "tcp", text
    if scheme == "unix":
        if not rest.startswith("/"):
            raise _bad(text, "a Unix socket needs an absolute path")
        return HostAddress("unix", path=rest)
    if scheme == "fd":
        return HostAddress("fd", path="" if rest == "*" else rest)
    if scheme == "tcp":
        return _parse_tcp(text, rest)
    raise _bad(text, "known are unix://, tcp:// and fd://")


def _parse_tcp(text: str, rest: str) -> HostAddress:
    rest = rest.rstrip("/")
    if "/" in rest:
        raise _bad(text, "a path is not supported")
    if rest.startswith("["):
        host, _, port = rest[1:].partition("]")
        port = port.removeprefix(":")
    else:
        host, _, port = rest.partition(":")
    if port and not (port.isdecimal() and int(port) <= 65535):
        raise _bad(text, f"invalid port {port!r}")
    return HostAddress("tcp", host=host or "localhost", port=int(port) if port else 0)


def _bad(text: str, reason: str) -> InvalidParameter:
    return InvalidParameter(f"invalid configuration: hosts: {text!r}: {reason}")
