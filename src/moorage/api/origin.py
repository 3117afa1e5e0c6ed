"""Guards of a TCP listener against web pages: DNS rebinding (Host), cross-site requests (Origin).

A browser can be made to send requests to a port of its own host. The API knows no CORS, and a
request that bears the marks of a browser on another site is refused; another port of the same host
is another site.
"""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Collection

from moorage.lib.errors import Forbidden, InvalidParameter

_WELL_KNOWN = frozenset({"docker", "moorage", "api.moby.localhost", "localhost"})

_REMEMBERED = 64


class HostCheck:
    """Lets through IP addresses, the machine's own names and those that were allowed."""

    def __init__(self, allowed: Collection[str] = ()) -> None:
        own = {socket.gethostname().lower(), socket.getfqdn().lower()}
        self._passed: set[str] = set()  # Host headers that were checked before
        self._names = _WELL_KNOWN | own | {name.lower() for name in allowed}

    def require(self, headers: dict[str, str]) -> None:
        """Check one request.

        Raises: Forbidden; InvalidParameter, without a Host.
        """
        host = headers.get("host")
        if host is None:
            raise InvalidParameter("the request has no Host header")
        if host not in self._passed and not self._is_known(host_name(host)):
            raise Forbidden(
                f"the Host header names {host!r}, which is not a name of this daemon",
                hint="add the name to 'allowed-hosts' in daemon.json if it is meant",
            )
        if len(self._passed) < _REMEMBERED:
            self._passed.add(host)
        origin = headers.get("origin")
        if origin is not None and origin.partition("://")[2].lower() != host.strip().lower():
            raise Forbidden("requests from web pages of other sites are refused")
        if headers.get("sec-fetch-site", "none") in {"cross-site", "same-site"}:
            raise Forbidden("requests from web pages of other sites are refused")

    def _is_known(self, name: str) -> bool:
        if not name or name in self._names or name.endswith(".localhost"):
            return True
        try:
            ipaddress.ip_address(name)
        except ValueError:
            return False
        return True


def host_name(authority: str) -> str:
    """Return the host of ``host:port`` or ``[v6]:port``, in lower case."""
    authority = authority.strip().lower()
    if authority.startswith("["):
        return authority[1:].partition("]")[0]
    return authority.rpartition(":")[0] if authority.count(":") == 1 else authority
