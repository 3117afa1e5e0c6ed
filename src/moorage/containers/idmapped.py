"""``-v SOURCE:TARGET:U``: the source's owner is the container's user, on disk nothing changes.

Owner and user change places on an idmapped mount of the source: what was the owner's is seen as
the user's, and what the user makes is stored as the owner's. All other ids are seen as they are.
"""

from __future__ import annotations

import errno
import os
from contextlib import suppress
from pathlib import Path

from moorage.kernel import idmap
from moorage.kernel import mount as k
from moorage.kernel.idmap import IdMap
from moorage.lib import offload
from moorage.lib.errors import System
from moorage.runtime import userns


async def mount(source: str, place: Path, uid: int, gid: int) -> str:
    """Return where the source is seen with its owner mapped; itself, if it is the user's already.

    Raises: System (the kernel or the file system cannot).
    """
    owner = await offload.run_disposable(os.stat, source)
    if (owner.st_uid, owner.st_gid) == (uid, gid):
        return source
    uids, gids = idmap.swapped(owner.st_uid, uid), idmap.swapped(owner.st_gid, gid)
    return await _mount(source, place, uids, gids)


async def mount_all(source: str, place: Path, owners: IdMap) -> str:
    """Return where all owners in a volume are seen through the map of a container.

    A file system that cannot do that (NFS, a plugin's) is shown as it is.
    Raises: System.
    """
    try:
        return await _mount(source, place, *owners.texts())
    except System as error:
        if isinstance(error.__cause__, OSError) and error.__cause__.errno == errno.EINVAL:
            return source
        raise


async def _mount(source: str, place: Path, uids: str, gids: str) -> str:
    await offload.run("fs", release, place)
    try:
        async with userns.lend(uids, gids) as lent:
            await offload.run_disposable(_bind, Path(source), place, lent.user)
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
