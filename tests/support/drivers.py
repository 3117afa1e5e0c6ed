"""The storage drivers, and file systems of the kinds that they stand on."""

from __future__ import annotations

import itertools
import subprocess
from pathlib import Path

import pytest

# driver, file system it stands on ("" = the one of the temporary directory)
PLACES = [
    pytest.param(("overlay2", ""), marks=pytest.mark.requires("overlayfs"), id="overlay2"),
    pytest.param(("vfs", ""), id="vfs"),
    pytest.param(
        ("fuse-overlayfs", ""), marks=pytest.mark.requires("fuse", "fuse-overlayfs"), id="fuse"
    ),
    pytest.param(("btrfs", "btrfs"), marks=pytest.mark.requires("btrfs"), id="btrfs"),
    pytest.param(("overlay2", "xfs"), marks=pytest.mark.requires("xfs"), id="overlay2-xfs"),
    pytest.param(("vfs", "xfs"), marks=pytest.mark.requires("xfs"), id="vfs-xfs"),
]
_MAKE = {"btrfs": ["mkfs.btrfs", "-q"], "xfs": ["mkfs.xfs", "-q"]}
_OPTIONS = {"btrfs": ["loop"], "xfs": ["loop,pquota", "loop"]}  # not every kernel has quotas
_SIZE = 512 << 20  # bytes


class FileSystems:
    """Directories on file systems below *place*, which are made when first asked for."""

    def __init__(self, place: Path) -> None:
        self._place = place
        self._mounted: dict[str, Path] = {}
        self._numbers = itertools.count()

    def directory(self, kind: str) -> Path:
        """Return a new name on a file system of this *kind* ("" = any)."""
        if not kind:
            return self._place / f"plain{next(self._numbers)}"
        if kind not in self._mounted:
            self._mounted[kind] = self._make(kind)
        return self._mounted[kind] / str(next(self._numbers))

    def unmount(self) -> None:
        """Take them away."""
        for place in self._mounted.values():
            subprocess.run(["umount", "-l", str(place)], check=True)

    def _make(self, kind: str) -> Path:
        image, place = self._place / f"{kind}.image", self._place / kind
        place.mkdir()
        with image.open("wb") as file:
            file.truncate(_SIZE)
        subprocess.run([*_MAKE[kind], str(image)], check=True, capture_output=True)
        assert any(
            subprocess.run(["mount", "-o", o, str(image), str(place)], check=False).returncode == 0
            for o in _OPTIONS[kind]
        )
        return place
