"""What a daemon that was killed in the middle of a build has left, taken away.

Commands of builds do not outlive their daemon: nobody would take what they give. Their writable
layers are known by the prefix of their names.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Final

from moorage.build.views import Views
from moorage.kernel import mount as kernel_mount
from moorage.lib import atomicfile, ids, offload
from moorage.runtime.service import Runtime
from moorage.runtime.task import Task
from moorage.storage.layers import LayerStore

PREFIX: Final = "build-"

Leave = Callable[[str], Awaitable[object]]


def new_layer_id() -> str:
    """Return a name for the writable layer, and the container, of one operation."""
    return PREFIX + ids.new_id()[:32]


async def recover(
    *, staging: Path, layers: LayerStore, views: Views, runtime: Runtime, leave: Leave
) -> None:
    """Remove processes, networks, mounts and layers of builds that were cut off."""
    await offload.run("fs", clear, staging, keep=frozenset({"views"}))
    await offload.run("fs", views.recover)
    for record in layers.writables():
        if not record.id.startswith(PREFIX):
            continue
        found = await runtime.recover(record.id)
        if isinstance(found, Task):
            await found.delete()
        elif found is not None:
            await runtime.discard(record.id)
        await leave(record.id)
        await offload.run("fs", layers.remove_rw, record.id)


def clear(directory: Path, *, keep: frozenset[str] = frozenset()) -> None:
    """Empty a staging directory: what is mounted in it is unmounted first, never deleted into."""
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    detach_below(directory)
    for entry in list(directory.iterdir()):
        if entry.name not in keep:
            atomicfile.remove_tree(entry)


def remove(directory: Path) -> None:
    """Remove a staging directory as ``clear`` empties one; absent is fine."""
    if directory.exists():
        clear(directory)
        directory.rmdir()


def detach_below(directory: Path) -> None:
    """Unmount everything mounted below *directory*, the last mounted first."""
    prefix = f"{directory}/"
    targets = [
        entry.target for entry in kernel_mount.mountinfo() if entry.target.startswith(prefix)
    ]
    for target in reversed(targets):
        kernel_mount.umount2(target, kernel_mount.MNT_DETACH | kernel_mount.UMOUNT_NOFOLLOW)
