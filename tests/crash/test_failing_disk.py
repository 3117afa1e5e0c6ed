"""A disk that takes what it cannot write: what was lost is found out, and not believed in."""

from __future__ import annotations

import errno
import io
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from moorage.lib.errors import DataLoss, NotFound
from moorage.spec.digest import Digest
from support.layers import Stores, Tar

pytestmark = pytest.mark.requires("root", "overlayfs")


class Disk:
    """An ext4 whose disk is a file with holes on a tmpfs that is smaller than it says."""

    def __init__(self, place: Path) -> None:
        self.backing, self.root = place / "backing", place / "root"
        self.backing.mkdir()
        self.root.mkdir()
        self._run("mount", "-t", "tmpfs", "-o", "size=24M", "tmpfs", str(self.backing))
        image = self.backing / "disk"
        with image.open("wb") as file:
            file.truncate(256 << 20)
        options = "lazy_itable_init=0,lazy_journal_init=0,nodiscard"
        self._run("mkfs.ext4", "-q", "-F", "-J", "size=4", "-E", options, str(image))
        self.mount()

    def mount(self) -> None:
        """Mount it, mended as after a crash if need be."""
        checked = subprocess.run(
            ["e2fsck", "-fy", str(self.backing / "disk")], capture_output=True, check=False
        )
        assert checked.returncode < 4, checked.stdout
        self._run("mount", "-o", "loop,errors=continue", str(self.backing / "disk"), str(self.root))

    def unmount(self) -> None:
        """Take it away, and with it all that the kernel remembers of it."""
        self._run("umount", str(self.root))

    def grow(self) -> None:
        """Let the disk hold all that it says."""
        self._run("mount", "-o", "remount,size=256M", str(self.backing))

    def remove(self) -> None:
        """Remove it."""
        subprocess.run(["umount", "-l", str(self.root)], check=False, capture_output=True)
        self._run("umount", "-l", str(self.backing))

    @staticmethod
    def _run(*command: str) -> None:
        subprocess.run(command, check=True, capture_output=True)


def read(store: Stores, diff_id: Digest) -> bytes:
    with store.content.open(diff_id) as archive:
        return archive.read()


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Disk]:
    made = Disk(tmp_path)
    yield made
    made.remove()


def test_fault_4_what_a_disk_could_not_write_is_suspect_and_found_damaged(
    disk: Disk, tmp_path: Path
) -> None:
    tar = Tar().add("large", os.urandom(48 << 20)).raw()
    store = Stores(disk.root / "store", "overlay2", database=tmp_path / "db")
    layer = store.layers.apply(io.BytesIO(tar), parent=None)  # in the page cache
    subprocess.run(["sync", "-f", str(disk.root)], check=False, capture_output=True)
    with pytest.raises(OSError, match=r"error|space") as caught:
        store.durability.sync()  # although somebody else was told first
    assert caught.value.errno in {errno.EIO, errno.ENOSPC}
    suspect = [("layer", layer.chain_id)]
    assert store.durability.suspects() == suspect
    store.durability.sync()  # all is said: nothing is noted for this boot any more
    assert store.durability.suspects() == suspect
    store.leave()
    disk.unmount()
    disk.grow()
    disk.mount()
    again = Stores(disk.root / "store", "overlay2", database=tmp_path / "db")
    assert again.durability.suspects() == suspect
    with pytest.raises((DataLoss, NotFound)):  # the directory may be lost as well
        read(again, layer.diff_id)
    again.close()
