"""Where the daemon is: from flags, environment, context, or the default.

The order is the docker CLI's: ``-H``, ``--context``, ``MOOR_HOST`` or ``DOCKER_HOST``,
``DOCKER_CONTEXT``, the configured context, the default socket.
"""

from __future__ import annotations

from moorage.client import files
from moorage.lib.errors import InvalidParameter

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

OWN_SOCKET = "/run/moorage/moord.sock"
DOCKER_SOCKET = "/var/run/docker.sock"
DEFAULT_TCP_PORT = "2375"
DEFAULT_TLS_PORT = "2376"


class Tls:
    """Certificates of a TLS connection; paths may be missing."""

    def __init__(self, *, ca: str | None, cert: str | None, key: str | None, verify: bool) -> None:
        self.ca = ca
        self.cert = cert
        self.key = key
        self.verify = verify


class Endpoint:
    """A parsed host, with its certificates where it has any."""

    def __init__(self, host: str, tls: Tls | None = None) -> None:
        self.host = host
        self.scheme, self.address = _split(host, tls is not None)
        self.tls = tls if self.scheme == "tcp" else None

    @property
    def http_host(self) -> str:
        """The value of the Host header."""
        return self.address.partition("/")[0] if self.scheme == "tcp" else "api.moby.localhost"


def default_host() -> str:
    """Return our own daemon's socket, or Docker's where only that one exists."""
    if not files.exists(OWN_SOCKET) and files.exists(DOCKER_SOCKET):
        return "unix://" + DOCKER_SOCKET
    return "unix://" + OWN_SOCKET


def host_from_environment(environ: Mapping[str, str]) -> str:
    """Return ``MOOR_HOST`` or ``DOCKER_HOST``, empty if neither is set."""
    return environ.get("MOOR_HOST") or environ.get("DOCKER_HOST") or ""


def _split(host: str, with_tls: bool) -> tuple[str, str]:  # noqa: FBT001
    """Return scheme and address; a bare word is a TCP host as docker takes it."""
    text = host.strip()
    scheme, separator, address = text.partition("://")
    if not separator:
        scheme, address = "tcp", text
    if scheme == "unix":
        return scheme, address or OWN_SOCKET
    if scheme == "ssh":
        return scheme, address
    if scheme in {"http", "https"}:
        scheme = "tcp"
    if scheme != "tcp":
        raise InvalidParameter(
            f"Invalid bind address format: {host}",
            hint="an address starts with unix://, tcp:// or ssh://",
        )
    address = address.rstrip("/")
    has_port = ":" in address.rpartition("]")[2]
    if not has_port:
        address += ":" + (DEFAULT_TLS_PORT if with_tls else DEFAULT_TCP_PORT)
    if address.startswith(":"):
        address = "localhost" + address
    return scheme, address
