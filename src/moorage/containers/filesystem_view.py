"""A container's files as it sees them, for ``cp``: a descriptor of its root, volumes included.

Running: the root of its first process, through /proc; the kernel walks the container's own mounts.
Stopped: its root file system with volumes and binds mounted upon it, in a mount namespace of one
thread, which goes away with it. In both cases every path is resolved below that descriptor by
openat2(2), so what a container does to its links meanwhile cannot lead out (CVE-2018-15664), and
no program or library of the container is ever run or loaded (CVE-2019-14271).
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from moorage.containers import prepare
from moorage.containers.container import Container
from moorage.containers.parts import Parts
from moorage.containers.spec_mounts import ReadyMount
from moorage.kernel import mount as k
from moorage.kernel import namespaces
from moorage.kernel.openat2 import openat2
from moorage.lib import ids
from moorage.lib.errors import NotFound

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class View:
    """How to get at the files; ``use`` belongs in a thread of its own."""

    process_root: Path | None  # of a running container
    rootfs: Path | None
    mounts: Sequence[ReadyMount]

    def use(self, work: Callable[[int], T]) -> T:
        """Call *work* with a descriptor of the root. Blocks."""
        if self.process_root is None:
            namespaces.unshare(namespaces.CLONE_NEWNS)
            k.mount("none", "/", None, k.MS_REC | k.MS_PRIVATE)
        root_fd = self._open()
        try:
            if self.process_root is None:
                for mount in self.mounts:
                    _mount_below(root_fd, mount)
            return work(root_fd)
        finally:
            os.close(root_fd)

    def _open(self) -> int:
        path = self.process_root or self.rootfs
        assert path is not None  # noqa: S101 - one of the two is set
        try:
            return os.open(path, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
        except (FileNotFoundError, PermissionError) as error:
            raise NotFound("the container has ended meanwhile") from error


async def open_view(parts: Parts, container: Container, undo: AsyncExitStack) -> View:
    """Prepare the files of a container; *undo* must outlive the use.

    *Preconditions*: the caller holds the lock if the container does not run.
    """
    if container.alive:
        pid = container.running_task().pid
        return View(Path(f"/proc/{pid}/root"), None, ())
    user = f"files-{ids.token()}"
    rootfs = await prepare.mount_rootfs(parts, container.id, undo, owner=user)
    ready = await prepare.mounts(parts, container, undo, user=user)
    shown = [m for m in ready if m.record.type != "tmpfs"]
    return View(None, rootfs, sorted(shown, key=lambda m: m.record.destination.count("/")))


def _mount_below(root_fd: int, mount: ReadyMount) -> None:
    """Mount one source where the container would see it, by descriptors only."""
    destination = mount.record.destination
    tree = k.open_tree(
        k.AT_FDCWD,
        mount.source,
        k.OPEN_TREE_CLONE | k.OPEN_TREE_CLOEXEC | k.AT_RECURSIVE,
    )
    try:
        target = _target(root_fd, destination)
        try:
            k.move_mount(
                tree, "", target, "", k.MOVE_MOUNT_F_EMPTY_PATH | k.MOVE_MOUNT_T_EMPTY_PATH
            )
        finally:
            os.close(target)
    finally:
        os.close(tree)
    if not mount.record.writable:
        shown = openat2(root_fd, destination, os.O_PATH)
        try:
            attributes = k.MountAttr(k.MOUNT_ATTR_RDONLY, 0, 0, 0)
            k.mount_setattr(shown, "", k.AT_EMPTY_PATH | k.AT_RECURSIVE, attributes)
        finally:
            os.close(shown)


def _target(root_fd: int, destination: str) -> int:
    try:
        return openat2(root_fd, destination, os.O_PATH)
    except FileNotFoundError:
        prepare.make_directories(root_fd, destination)
        return openat2(root_fd, destination, os.O_PATH)
