"""Sizes of writable layers by project quota, on xfs (pquota) and ext4 (project, prjquota)."""

from __future__ import annotations

import itertools
import os
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from moorage.kernel import quota
from moorage.lib import atomicfile, ids
from moorage.storage.snapshots.walk import open_root

_FIRST: Final = 1_048_577  # below that administrators number by hand


class ProjectQuota:
    """Gives directories projects of their own. ``_lock`` guards the numbers."""

    def __init__(self, root: Path, *, first: int = _FIRST) -> None:
        """*first* keeps the projects of two roots on one file system apart."""
        self._root = root
        self._first = first
        self._lock = threading.Lock()
        self._free: Iterator[int] | None = None  # numbers, read off the directories when needed
        self.works = self._probe()

    def _probe(self) -> bool:
        place = self._root / f".quota-{ids.token()}"
        place.mkdir()
        fd = open_root(place)
        try:
            quota.set_project(fd, self._first - 1)
            quota.set_limit(fd, self._first - 1, 1 << 30)
            quota.set_limit(fd, self._first - 1, 0)
        except OSError:
            return False
        finally:
            os.close(fd)
            atomicfile.remove_tree(place)
        return True

    def limit(self, directory: Path, size_bytes: int) -> None:
        """Bound what will be written below the new, empty *directory*. Raises: OSError."""
        fd = open_root(directory)
        try:
            project = self._free_number()
            quota.set_project(fd, project)
            quota.set_limit(fd, project, size_bytes)
        finally:
            os.close(fd)

    def _free_number(self) -> int:
        with self._lock:
            if self._free is None:
                used = set(self._numbers())
                self._free = (n for n in itertools.count(self._first) if n not in used)
            return next(self._free)

    def _numbers(self) -> list[int]:
        found = []
        for entry in os.scandir(self._root):
            if entry.is_dir(follow_symlinks=False):
                fd = open_root(Path(entry.path))
                try:
                    found.append(quota.get_project(fd))
                finally:
                    os.close(fd)
        return found
