"""``ssh://`` hosts: the stream is an ssh process whose far end speaks to the daemon's socket."""

from __future__ import annotations

import _socket
import os

from moorage.lib.errors import InvalidParameter

TYPE_CHECKING = False
if TYPE_CHECKING:
    from moorage.client.endpoint import Endpoint

REMOTE = "command -v moor >/dev/null && exec moor system dial-stdio; exec docker system dial-stdio"


def connect(endpoint: Endpoint) -> _socket.socket:
    """Start ssh with a socket pair as its standard streams."""
    arguments = ["ssh", *ssh_arguments(endpoint.address), "--", REMOTE]
    ours, theirs = _socket.socketpair(_socket.AF_UNIX, _socket.SOCK_STREAM)
    actions = [
        (os.POSIX_SPAWN_DUP2, theirs.fileno(), 0),
        (os.POSIX_SPAWN_DUP2, theirs.fileno(), 1),
    ]
    try:
        # a process group of its own, so that Ctrl-C reaches the container and not the transport
        os.posix_spawnp("ssh", arguments, os.environ, file_actions=actions, setpgroup=0)
    except OSError as e:
        raise InvalidParameter(f"cannot start ssh for {endpoint.host}: {e.strerror}") from e
    finally:
        theirs.close()
    return ours


def ssh_arguments(address: str) -> list[str]:
    """Turn ``user@host:port`` into ssh's arguments.

    Raises: InvalidParameter (a path, a password, or a name that ssh would take for an option).
    """
    place, slash, path = address.partition("/")
    if slash and path:
        raise InvalidParameter(
            f"ssh host connection is not valid: extra path after {place}: {path}"
        )
    user, at, host = place.rpartition("@")
    if at and ":" in user:
        raise InvalidParameter(
            "ssh host connection is not valid: plain-text password is not supported"
        )
    name, colon, port = host.rpartition(":")
    if not colon or port.endswith("]"):
        name, port = host, ""
    name = name.strip("[]")
    if not name or name.startswith("-") or user.startswith("-") or (port and not port.isdigit()):
        raise InvalidParameter(f"ssh host connection is not valid: {address!r}")
    arguments = ["-o", "ConnectTimeout=30", "-T"]
    if user:
        arguments += ["-l", user]
    if port:
        arguments += ["-p", port]
    return [*arguments, name]
