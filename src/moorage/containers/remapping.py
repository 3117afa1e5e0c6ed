"""User namespaces of containers, where the daemon remaps (``userns-remap``).

Each container has one of its own, which owns its network namespace too: so its root may use the
capabilities that it has on that. On the disk files keep the owners of inside.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from moorage.containers.validate_namespaces import joined_container
from moorage.kernel import idmap
from moorage.lib.errors import InvalidParameter
from moorage.runtime.userns import UserNamespace

if TYPE_CHECKING:
    from moorage.containers.container import Container
    from moorage.containers.parts import Parts
    from moorage.kernel.idmap import IdMap
    from moorage.spec.engine.hostconfig import HostConfig


def of_process(pid: int) -> IdMap:
    """Return the map that a process has, whatever the daemon does today. Raises: OSError."""
    directory = Path(f"/proc/{pid}")
    return idmap.parse((directory / "uid_map").read_text(), (directory / "gid_map").read_text())


def check(host: HostConfig) -> None:
    """Refuse what takes more rights on the host than a user namespace leaves.

    *Preconditions*: the daemon remaps.
    Raises: InvalidParameter, with Docker's sentences.
    """
    if host.userns_mode == "host":
        return
    if host.privileged:
        raise InvalidParameter(
            "privileged mode is incompatible with user namespaces.  You must run the container in"
            " the host namespace when running privileged mode"
        )
    if host.network_mode == "host":
        raise InvalidParameter(
            "cannot share the host's network namespace when user namespaces are enabled"
        )
    if host.pid_mode == "host":
        raise InvalidParameter(
            "cannot share the host PID namespace when user namespaces are enabled"
        )
    if host.ipc_mode == "host":
        raise InvalidParameter(
            "cannot share the host's IPC namespace when user namespaces are enabled",
            hint="--userns=host opts out",
        )


def shared_with(parts: Parts, host: HostConfig) -> Container | None:
    """Return the container whose namespaces are shared: then the user namespace is too."""
    for mode in (host.network_mode, host.pid_mode, host.ipc_mode):
        if (reference := joined_container(mode)) is not None:
            return parts.store.get(reference)
    return None


def joined(pid: int, owners: IdMap | None) -> UserNamespace | None:
    """Return the namespace of the process whose namespaces are shared, None if it is the host's.

    Raises: InvalidParameter (one of the two is on the host's users, the other is not).
    """
    own = Path("/proc/self/ns/user").readlink() == Path(f"/proc/{pid}/ns/user").readlink()
    if own != (owners is None):
        raise InvalidParameter(
            "namespaces cannot be shared between containers with and without --userns=host"
        )
    return None if owners is None else UserNamespace(f"/proc/{pid}/ns/user", owners)
