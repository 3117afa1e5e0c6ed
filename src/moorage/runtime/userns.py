"""User namespaces: made by a helper, for a process with threads can neither make nor enter one."""

from __future__ import annotations

import errno
import os
import signal
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Final

from msgspec import Struct

from moorage.kernel import mount as k
from moorage.kernel import spawn
from moorage.kernel.idmap import Extent, IdMap
from moorage.lib import clock, offload
from moorage.spec.oci.runtime import LinuxIDMapping

_HOLDER: Final = ("unshare", "--user")
_WAIT: Final = ("cat",)  # lives as long as its standard input is open
_OWN: Final = "/proc/self/ns/user"
_TIMEOUT_S: Final = 10.0
_STEP_S: Final = 0.001


@dataclass(frozen=True, slots=True)
class Lent:
    """Descriptors of namespaces, for as long as they are lent."""

    user: int
    network: int | None  # owned by the user namespace; None unless asked for

    def close(self) -> None:
        """Close them."""
        os.close(self.user)
        if self.network is not None:
            os.close(self.network)


class UserNamespace(Struct, frozen=True):
    """What the OCI runtime is told: where the namespace is, and its map."""

    path: str
    owners: IdMap


def id_mappings(extents: Sequence[Extent]) -> list[LinuxIDMapping]:
    """Return a map as the specification writes it (pure)."""
    return [LinuxIDMapping(container_id=e.inside, host_id=e.outside, size=e.count) for e in extents]


@asynccontextmanager
async def lend(uids: str, gids: str, *, network: bool = False) -> AsyncIterator[Lent]:
    """Lend a user namespace with these maps, in the format of ``/proc/PID/uid_map``.

    *network*: and a network namespace in which its root has all rights.
    Raises: OSError.
    """
    read, write = os.pipe2(os.O_CLOEXEC)
    try:
        try:
            options = ["--net"] if network else []
            helper = spawn.start([*_HOLDER, *options, *_WAIT], files={0: read})
        finally:
            os.close(read)
        try:
            mapped = partial(_mapped, helper.pid, uids, gids, network=network)
            lent = await offload.obtain("fs", mapped, Lent.close)
            try:
                yield lent
            finally:
                lent.close()
        finally:
            helper.send_signal(signal.SIGKILL)
            await helper.wait()
    finally:
        os.close(write)


def _mapped(pid: int, uids: str, gids: str, *, network: bool) -> Lent:
    """Return the namespaces of the helper, once it is in them, with the maps. Blocks."""
    path = f"/proc/{pid}/ns/user"
    own = os.readlink(_OWN)
    deadline = clock.monotonic() + _TIMEOUT_S
    while os.readlink(path) == own:
        if clock.monotonic() > deadline:
            raise TimeoutError(errno.ETIMEDOUT, "no user namespace was made in time")
        time.sleep(_STEP_S)
    for name, text in (("uid_map", uids), ("gid_map", gids)):
        Path(f"/proc/{pid}/{name}").write_text(text)
    user = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    if not network:
        return Lent(user, None)
    try:  # unshare(2) makes both at once
        return Lent(user, os.open(f"/proc/{pid}/ns/net", os.O_RDONLY | os.O_CLOEXEC))
    except BaseException:
        os.close(user)
        raise


def pin(namespace: int, handle: Path) -> None:
    """Keep a namespace for as long as *handle* is mounted. Raises: OSError. Blocks."""
    unpin(handle)
    handle.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    os.close(os.open(handle, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o444))
    k.mount(f"/proc/self/fd/{namespace}", handle, None, k.MS_BIND)


def unpin(handle: Path) -> None:
    """Undo ``pin``; absent is fine. Blocks."""
    with suppress(OSError):
        k.umount2(handle, k.MNT_DETACH | k.UMOUNT_NOFOLLOW)
    with suppress(OSError):
        handle.unlink()
    with suppress(OSError):
        handle.parent.rmdir()


def let_through(path: Path, owners: IdMap, below: Path) -> None:
    """Let the mapped root pass through *path* and its parents below *below*, but not list them.

    Blocks.
    """
    gid = owners.root[1]
    while path != below and below in path.parents:
        if path.stat().st_gid != gid:
            os.chown(path, -1, gid)
        path.chmod(path.stat().st_mode & 0o7777 | 0o010)
        path = path.parent
