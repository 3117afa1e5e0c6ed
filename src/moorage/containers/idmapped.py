"""``-v SOURCE:TARGET:U``: the source's owner is the container's user, on disk nothing changes.

Owner and user change places on an idmapped mount of the source: what was the owner's is seen as
the user's, and what the user makes is stored as the owner's. All other ids are seen as they are.
"""

from __future__ import annotations

import errno
import os
import signal
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Final

from moorage.kernel import idmap, spawn
from moorage.kernel import mount as k
from moorage.lib import clock, offload
from moorage.lib.errors import System
from moorage.runtime.users import Identity

_HOLDER: Final = ("unshare", "--user", "cat")  # lives as long as its standard input is open
_OWN: Final = "/proc/self/ns/user"
_TIMEOUT_S: Final = 10.0
_STEP_S: Final = 0.002


async def mount(source: str, place: Path, user: Identity) -> str:
    """Return where the source is seen with its owner mapped; itself, if it is the user's already.

    Raises: System (the kernel or the file system cannot).
    """
    owner = await offload.run_disposable(os.stat, source)
    if (owner.st_uid, owner.st_gid) == (user.uid, user.gid):
        return source
    await offload.run("fs", release, place)
    uids, gids = idmap.swapped(owner.st_uid, user.uid), idmap.swapped(owner.st_gid, user.gid)
    try:
        async with _user_namespace(uids, gids) as namespace:
            await offload.run_disposable(_bind, Path(source), place, namespace)
    except OSError as error:
        raise System(
            f"cannot map the owner of {source}: {error.strerror or error}",
            hint="the mode U needs Linux 5.12 and a file system with idmapped mounts, such as ext4",
        ) from error
    return str(place)


def release(place: Path) -> None:
    """Undo ``mount``; absent is fine. Blocks."""
    with suppress(OSError):
        k.umount2(place, k.MNT_DETACH | k.UMOUNT_NOFOLLOW)
    with suppress(OSError):
        place.rmdir() if place.is_dir() else place.unlink()
        place.parent.rmdir()


def _bind(source: Path, place: Path, namespace: int) -> None:
    place.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    if source.is_dir():
        place.mkdir(mode=0o700)
    else:
        place.touch(mode=0o600)
    try:
        idmap.bind(source, place, namespace)
    except OSError:
        release(place)
        raise


@asynccontextmanager
async def _user_namespace(uids: str, gids: str) -> AsyncIterator[int]:
    """Lend a user namespace with these maps; a helper makes it, for threads cannot."""
    read, write = os.pipe2(os.O_CLOEXEC)
    try:
        try:
            helper = spawn.start(_HOLDER, files={0: read})
        finally:
            os.close(read)
        try:
            namespace = await offload.run("fs", _mapped, helper.pid, uids, gids)
            try:
                yield namespace
            finally:
                os.close(namespace)
        finally:
            helper.send_signal(signal.SIGKILL)
            await helper.wait()
    finally:
        os.close(write)


def _mapped(pid: int, uids: str, gids: str) -> int:
    """Return the user namespace of the helper, once it is in one, with the maps. Blocks."""
    path = f"/proc/{pid}/ns/user"
    own = os.readlink(_OWN)
    deadline = clock.monotonic() + _TIMEOUT_S
    while os.readlink(path) == own:
        if clock.monotonic() > deadline:
            raise TimeoutError(errno.ETIMEDOUT, "no user namespace was made in time")
        time.sleep(_STEP_S)
    for name, text in (("uid_map", uids), ("gid_map", gids)):
        Path(f"/proc/{pid}/{name}").write_text(text)
    return os.open(path, os.O_RDONLY | os.O_CLOEXEC)
