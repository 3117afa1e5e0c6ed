"""vfs: every layer a whole copy. Slow and large, but it works on any file system.

Where the file system shares blocks between files (reflink: xfs, btrfs), copies cost no space.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from moorage.storage import treecopy
from moorage.storage.snapshots.naive import NaiveDriver


class VfsDriver(NaiveDriver):
    """The driver of last resort."""

    name = "vfs"

    def probe(self) -> None:
        """It always works."""

    def prepare(self, name: str, parents: Sequence[str]) -> Path:
        """Copy the topmost parent."""
        path = self.root / name
        path.mkdir(mode=0o755)
        if parents:
            treecopy.copy_directory(self.tree(parents[0]), path)
        return path
