"""A container's files as it sees them, for ``cp``: a descriptor of its root, volumes included.

Running: the root of its first process, through /proc; the kernel walks the container's own mounts.
Stopped: its root file system with volumes and binds mounted upon it, in a mount namespace of one
thread, which goes away with it. In both cases every path is resolved below that descriptor by
openat2(2), so what a container does to its links meanwhile cannot lead out (CVE-2018-15664), and
no program or library of the container is ever run or loaded (CVE-2019-14271).
"""

from __future__ import annotations

import asyncio
import os
import stat
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from moorage.containers import prepare, remapping
from moorage.containers.container import Container
from moorage.containers.parts import Parts
from moorage.containers.record import MountRecord
from moorage.containers.spec_mounts import ReadyMount
from moorage.kernel import mount as k
from moorage.kernel import namespaces
from moorage.kernel.credentials import act_as
from moorage.kernel.idmap import IdMap
from moorage.kernel.openat2 import openat2
from moorage.lib import ids, offload, tasks
from moorage.lib.errors import NotFound, System

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class View:
    """How to get at the files; ``use`` belongs in a thread of its own."""

    process_root: Path | None  # of a running container
    rootfs: Path | None
    mounts: Sequence[ReadyMount]
    owners: IdMap | None = None  # through which owners are seen; None: as they are

    def use(self, work: Callable[[int], T]) -> T:
        """Call *work* with a descriptor of the root, acting as the container's root. Blocks."""
        if self.owners is not None:
            act_as(*self.owners.root)
        if self.process_root is None:
            namespaces.unshare(namespaces.CLONE_NEWNS)
            k.mount("none", "/", None, k.MS_REC | k.MS_PRIVATE)
        root_fd = self._open()
        try:
            if self.process_root is None:
                for mount in self.mounts:
                    try:
                        _mount_below(root_fd, mount)
                    except OSError as error:
                        said = (error.strerror or str(error)).lower()
                        raise System(f"cannot mount {mount.record.destination}: {said}") from error
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


@asynccontextmanager
async def opened(parts: Parts, container: Container) -> AsyncIterator[View]:
    """Lend the files of a container; one that is stopped does not start meanwhile.

    Cancel: preparing and giving back go on to their end, so that nothing stays mounted.
    """
    undo = AsyncExitStack()
    opening = parts.supervisor.start(_open(parts, container, undo), "open files")
    try:
        yield await asyncio.shield(opening)
    finally:
        await tasks.finish(_close(opening, undo), parts.supervisor, "close files")


async def _close(opening: asyncio.Task[View], undo: AsyncExitStack) -> None:
    await asyncio.wait({opening})
    await undo.aclose()


async def _open(parts: Parts, container: Container, undo: AsyncExitStack) -> View:
    if (process := _process_root(container)) is not None:
        return View(process, None, (), _owners(container))
    await undo.enter_async_context(container.lock)
    if (process := _process_root(container)) is not None:  # it was just starting
        await undo.aclose()
        return View(process, None, (), _owners(container))
    user = f"files-{ids.token()}"
    rootfs = await prepare.mount_rootfs(parts, container.id, undo, owner=user)
    ready = await prepare.mounts(parts, container, undo, user=user)
    files = await offload.run("fs", _own_files, parts, container)
    shown = [*files, *(m for m in ready if m.record.type != "tmpfs")]
    return View(
        None,
        rootfs,
        sorted(shown, key=lambda m: m.record.destination.count("/")),
        prepare.seen_owners(parts, container.id),
    )


def _owners(container: Container) -> IdMap | None:
    """Return the map of a running container; None if its users are the host's."""
    try:
        owners = remapping.of_process(container.running_task().pid)
    except OSError as error:
        raise NotFound("the container has ended meanwhile") from error
    return None if owners.root == (0, 0) else owners


def _own_files(parts: Parts, container: Container) -> list[ReadyMount]:
    """Return /etc/hosts and the like; a container that never ran has none. Blocks."""
    return [
        ReadyMount(
            MountRecord(type="bind", destination=file.destination, source=file.source),
            file.source,
        )
        for file in prepare.own_files(parts, container, container)
        if Path(file.source).exists()
    ]


def _process_root(container: Container) -> Path | None:
    if container.task is None or not container.alive:
        return None
    return Path(f"/proc/{container.task.pid}/root")


def _mount_below(root_fd: int, mount: ReadyMount) -> None:
    """Mount one source where the container would see it, by descriptors only."""
    destination = mount.record.destination
    tree = k.open_tree(
        k.AT_FDCWD,
        mount.source,
        k.OPEN_TREE_CLONE | k.OPEN_TREE_CLOEXEC | k.AT_RECURSIVE,
    )
    try:
        target = _target(root_fd, destination, directory=stat.S_ISDIR(os.fstat(tree).st_mode))
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


def _target(root_fd: int, destination: str, *, directory: bool) -> int:
    try:
        return openat2(root_fd, destination, os.O_PATH)
    except FileNotFoundError:
        if directory:
            prepare.make_directories(root_fd, destination)
        else:
            prepare.make_file(root_fd, destination)
        return openat2(root_fd, destination, os.O_PATH)
