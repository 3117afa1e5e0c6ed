"""btrfs: every layer a subvolume, made as a snapshot of the one it stands on."""

from __future__ import annotations

import errno
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from moorage.kernel import btrfs as kernel
from moorage.lib import atomicfile
from moorage.lib.errors import System
from moorage.storage.snapshots import difference, walk
from moorage.storage.snapshots.naive import NaiveDriver
from moorage.storage.snapshots.overlay import backing_filesystem

_SUBVOLUME_INODE: Final = 256  # of the root directory of every subvolume


class BtrfsDriver(NaiveDriver):
    """``root/<name>`` is a subvolume; layers are read-only ones."""

    name = "btrfs"
    has_quota = True

    def probe(self) -> None:
        """The root must lie on btrfs."""
        found = backing_filesystem(self.root)
        if found != "btrfs":
            raise System(
                f"the storage driver btrfs needs its directory on btrfs, but {self.root} is"
                f" on {found}",
                hint="use overlay2, or mount a btrfs file system there",
            )

    def prepare(self, name: str, parents: Sequence[str]) -> Path:
        """Make a snapshot of the topmost parent, or an empty subvolume."""
        parent = walk.open_root(self.root)
        try:
            if parents:
                source = walk.open_root(self.tree(parents[0]))
                try:
                    kernel.snap_create(parent, name, source)
                finally:
                    os.close(source)
            else:
                kernel.subvol_create(parent, name)
                self.tree(name).chmod(0o755)
        finally:
            os.close(parent)
        return self.tree(name)

    def commit(self, name: str) -> None:
        """Make the subvolume read-only."""
        fd = walk.open_root(self.tree(name))
        try:
            kernel.subvol_setflags(fd, kernel.SUBVOL_RDONLY)
        finally:
            os.close(fd)

    def untouched(self, name: str) -> difference.Untouched:
        """A file of a snapshot keeps its number and its time of change until it is touched."""
        del name
        return lambda new, old: (new.st_ino, new.st_ctime_ns) == (old.st_ino, old.st_ctime_ns)

    def limit(self, name: str, size_bytes: int) -> None:
        """Bound the subvolume by a quota group."""
        fd = walk.open_root(self.tree(name))
        try:
            kernel.quota_enable(fd)
            kernel.qgroup_limit(fd, size_bytes)
        finally:
            os.close(fd)

    def remove(self, name: str) -> None:
        """Remove the subvolume, and those that its user made inside it."""
        path = self.tree(name)
        try:
            is_subvolume = path.lstat().st_ino == _SUBVOLUME_INODE
        except FileNotFoundError:
            return
        if not is_subvolume:
            atomicfile.remove_tree(path)
            return
        fd = walk.open_root(path)
        try:
            kernel.subvol_setflags(fd, 0)
        finally:
            os.close(fd)
        parent = walk.open_root(self.root)
        try:
            try:
                kernel.snap_destroy(parent, name)
            except OSError as error:
                if error.errno != errno.ENOTEMPTY:
                    raise
                self._remove_nested(path)
                kernel.snap_destroy(parent, name)
        finally:
            os.close(parent)

    def _remove_nested(self, path: Path) -> None:
        fd = walk.open_root(path)
        try:
            for name, found in walk.entries(fd).items():
                child = path / name
                if not child.is_symlink() and child.is_dir():
                    self._remove_nested(child)
                    if found.st_ino == _SUBVOLUME_INODE:
                        kernel.snap_destroy(fd, name)
        finally:
            os.close(fd)

    def status(self) -> list[list[str]]:
        """Return what ``info`` shows."""
        return [["Btrfs", ""]]
