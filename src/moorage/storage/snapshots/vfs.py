"""vfs: every layer a whole copy. Slow and large, but it works on any file system.

Where the file system shares blocks between files (reflink: xfs, btrfs), copies cost no space.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

from moorage.storage import treecopy
from moorage.storage.snapshots import difference
from moorage.storage.snapshots.naive import NaiveDriver

_COPIED: Final = ".copied"


class VfsDriver(NaiveDriver):
    """The driver of last resort.

    ::

        root/.copied/<name>     made when the copy was: what was changed later was touched since
    """

    name = "vfs"

    def __init__(self, root: Path, options: Mapping[str, str]) -> None:
        super().__init__(root, options)
        (root / _COPIED).mkdir(mode=0o710, exist_ok=True)

    def probe(self) -> None:
        """It always works."""

    def prepare(self, name: str, parents: Sequence[str]) -> Path:
        """Copy the topmost parent."""
        path = self.root / name
        path.mkdir(mode=0o755)
        if parents:
            treecopy.copy_directory(self.tree(parents[0]), path)
        return path

    def create(self, name: str, parents: Sequence[str], *, size_bytes: int | None) -> None:
        """Make a copy of the topmost layer, and note when."""
        super().create(name, parents, size_bytes=size_bytes)
        (self.root / _COPIED / name).touch()

    def remove(self, name: str) -> None:
        """Remove the copy and its note."""
        super().remove(name)
        (self.root / _COPIED / name).unlink(missing_ok=True)

    def untouched(self, name: str) -> difference.Untouched:
        """A file whose time of change lies before the end of the copy is as it was copied.

        The file system's own times are compared, not the daemon's clock.
        """
        try:
            copied_ns = (self.root / _COPIED / name).stat().st_ctime_ns
        except FileNotFoundError:
            return lambda _new, _old: False
        return lambda new, _old: new.st_ctime_ns < copied_ns
