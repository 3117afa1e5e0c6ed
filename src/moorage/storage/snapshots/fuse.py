"""fuse-overlayfs: the overlay in a process, where the kernel's cannot be mounted."""

from __future__ import annotations

import os
import stat
from collections.abc import Sequence
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Final

from moorage.kernel import spawn
from moorage.kernel.idmap import IdMap
from moorage.lib.errors import System
from moorage.storage.snapshots import difference, walk
from moorage.storage.snapshots.contract import Change, SnapshotDriver
from moorage.storage.snapshots.overlay import Mapped, OverlayDriver

_PROGRAM: Final = "fuse-overlayfs"
_MESSAGE_MAX: Final = 4096
_ORIGIN: Final = "user.fuseoverlayfs.origin"  # on what it has copied up


class FuseOverlayDriver(OverlayDriver):
    """The same layers on disk as overlay2 has, mounted by a program.

    The program runs for as long as the mount is there, and outlives the daemon.
    """

    name = "fuse-overlayfs"
    known_options = frozenset()

    def probe(self) -> None:
        """Its program and /dev/fuse must be there."""
        if spawn.find(_PROGRAM) is None or not Path("/dev/fuse").exists():
            raise System(
                "the storage driver fuse-overlayfs needs its program and /dev/fuse",
                hint="apt-get install fuse-overlayfs; modprobe fuse",
            )

    def map_owners(self, owners: IdMap, place: Path, namespace: int) -> None:
        """Refuse: the program takes its layers as they are."""
        SnapshotDriver.map_owners(self, owners, place, namespace)

    def mount_stack(
        self,
        target: Path,
        parents: Sequence[str],
        *,
        upper: str | None,
        mapped: Mapped | None = None,
        label: str = "",
    ) -> None:
        """Start the program; it goes to the background when the mount is ready."""
        del mapped
        options = self.stack_options(f"{self.root}/", parents, upper, label)
        said = os.memfd_create("stderr")
        try:
            process = spawn.start([_PROGRAM, "-o", options, str(target)], files={2: said})
            code = os.waitstatus_to_exitcode(os.waitpid(process.pid, 0)[1])
            os.close(process.pidfd)
            if code:
                text = os.pread(said, _MESSAGE_MAX, 0).decode(errors="replace").strip()
                raise System(f"cannot mount {target}: {text}")
        finally:
            os.close(said)

    def changes(self, name: str, parents: Sequence[str]) -> list[Change]:
        """Read them off the upper directory, once what the program lost is put back there."""
        _put_back(self.tree(name), [self.tree(parent) for parent in parents])
        return super().changes(name, parents)

    def status(self) -> list[list[str]]:
        """Return what ``info`` shows."""
        return super().status()[:1]


def _put_back(upper: Path, lowers: Sequence[Path]) -> None:
    """Give directories that were only copied up the time and the set-id bits of those below.

    The program makes them with neither: it sets the time before it copies what is inside.
    """
    with ExitStack() as closing:
        roots = []
        for path in (upper, *lowers):
            roots.append(walk.open_root(path))
            closing.callback(os.close, roots[-1])
        stack = [("", list(range(1, len(roots))))]
        while stack:
            relative, merged = stack.pop()
            with suppress(FileNotFoundError, NotADirectoryError), ExitStack() as inner:
                fd = difference.descend(inner, roots[0], relative)
                below = [
                    (number, difference.descend(inner, roots[number], relative))
                    for number in merged
                ]
                if below and not walk.is_opaque(fd):
                    stack += _put_back_one(relative, fd, below)


def _put_back_one(
    relative: str, fd: int, below: Sequence[tuple[int, int]]
) -> list[tuple[str, list[int]]]:
    """Mend one directory; return those inside it that are merged with lower ones."""
    inside = walk.entries(fd)
    deeper = []
    grown = not inside  # whether names were added or removed, which moves the time by itself
    for name, found in inside.items():
        was_there, merged = difference.look_up(below, name)
        if stat.S_ISDIR(found.st_mode) and merged:
            deeper.append((f"{relative}{name}/", merged))
        grown = grown or was_there is None or not _is_copied_up(fd, relative, name, found)
    was, now = os.fstat(below[0][1]), os.fstat(fd)
    lost = was.st_mode & (stat.S_ISUID | stat.S_ISGID)
    if lost and now.st_mode | lost == was.st_mode:
        os.fchmod(fd, stat.S_IMODE(was.st_mode))
    if not grown:
        os.utime(fd, ns=(now.st_atime_ns, was.st_mtime_ns))
    return deeper


def _is_copied_up(directory: int, relative: str, name: str, found: os.stat_result) -> bool:
    """Whether the program made *name*, going by its notes: the origin says from where."""
    path = f"/proc/self/fd/{directory}/{name}"
    if stat.S_ISREG(found.st_mode):
        origin = os.fsencode(f"{relative}{name}\0")
        return _ORIGIN in os.listxattr(path) and os.getxattr(path, _ORIGIN) == origin
    return stat.S_ISDIR(found.st_mode) and walk.OPAQUE[0] not in os.listxattr(path)
