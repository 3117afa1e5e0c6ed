"""What drivers have in common that give each layer a whole tree: the diff by comparison."""

from __future__ import annotations

import stat
from abc import abstractmethod
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Final

from moorage.kernel.mount import MS_BIND, MS_RDONLY, MS_REMOUNT, mount, mountinfo
from moorage.lib.errors import InvalidParameter
from moorage.storage.archive.options import Whiteouts
from moorage.storage.snapshots import difference
from moorage.storage.snapshots.contract import Change, ChangeKind, SnapshotDriver, view_name
from moorage.storage.snapshots.overlay import detach

_VIEWS: Final = ".views"


class NaiveDriver(SnapshotDriver):
    """Base of vfs and btrfs: ``root/<name>`` is the whole tree of a layer.

    A later layer's tar is applied in place, so a layer needs its parents first.
    """

    isolated = False
    whiteouts = Whiteouts.APPLY

    def __init__(self, root: Path, options: Mapping[str, str]) -> None:
        super().__init__(root, options)
        for directory in (root, root / _VIEWS):
            directory.mkdir(mode=0o710, parents=True, exist_ok=True)

    def commit(self, name: str) -> None:
        """Nothing is left to do."""

    def create(self, name: str, parents: Sequence[str], *, size_bytes: int | None) -> None:
        """Make a copy of the topmost layer."""
        self.prepare(name, parents)
        if size_bytes is not None:
            self.limit(name, size_bytes)

    def limit(self, name: str, size_bytes: int) -> None:
        """Bound the size of a writable layer. Raises: InvalidParameter, if that cannot be."""
        del name, size_bytes
        raise InvalidParameter(f"--storage-opt size is not supported for {self.name}")

    def mount(self, name: str, parents: Sequence[str], *, label: str = "") -> Path:
        """Return the tree: it needs no mount."""
        del parents, label
        return self.tree(name)

    def unmount(self, name: str) -> None:
        """Nothing is mounted."""

    def view(self, key: str, parents: Sequence[str], *, label: str = "") -> Path:
        """Bind the topmost tree read-only."""
        del label
        target = self.root / _VIEWS / view_name(key)
        target.mkdir(mode=0o755, exist_ok=True)
        if any(entry.target == str(target) for entry in mountinfo()):
            return target
        if not parents:
            mount("tmpfs", target, "tmpfs", MS_RDONLY)
            return target
        mount(self.tree(parents[0]), target, None, MS_BIND)
        mount("none", target, None, MS_BIND | MS_REMOUNT | MS_RDONLY)
        return target

    def close_view(self, key: str) -> None:
        """Unmount the view."""
        target = self.root / _VIEWS / view_name(key)
        detach(target)
        with suppress(FileNotFoundError):
            target.rmdir()

    def changes(self, name: str, parents: Sequence[str]) -> list[Change]:
        """Compare the tree with the topmost layer's."""
        old = self.tree(parents[0]) if parents else None
        return difference.tree_changes(self.tree(name), old, self.untouched(name))

    @abstractmethod
    def untouched(self, name: str) -> difference.Untouched:
        """Return what tells by their status the files that are surely the topmost layer's still.

        It spares the comparison of contents where status and times are equal.
        """

    def usage(self, name: str, parents: Sequence[str]) -> int:
        """Add up the changed files."""
        total = 0
        tree = self.tree(name)
        for change in self.changes(name, parents):
            if change.kind is not ChangeKind.DELETED:
                with suppress(FileNotFoundError):
                    found = (tree / change.path[1:]).lstat()
                    total += found.st_size if stat.S_ISREG(found.st_mode) else 0
        return total

    def tree(self, name: str) -> Path:
        """Return the layer's whole tree."""
        return self.root / name
