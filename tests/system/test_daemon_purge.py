"""``moord --purge`` takes away what a daemon made, and no more."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from support.daemon import BIN

pytestmark = pytest.mark.requires("root")


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """Return a data-root that is a file system of its own, as many hosts have it."""
    root = tmp_path / "data"
    root.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "tmpfs", root], check=True)
    yield root
    subprocess.run(["umount", root], check=True)


def test_a_data_root_that_is_a_mount_is_emptied_and_stays(disk: Path) -> None:
    (disk / "layers" / "overlay2").mkdir(parents=True)
    (disk / "layers" / "overlay2" / "file").write_text("x")
    exec_root = disk.parent / "exec"
    exec_root.mkdir()
    roots = ["--data-root", str(disk), "--exec-root", str(exec_root)]
    subprocess.run([str(BIN / "moord"), "--purge", *roots], check=True)
    assert disk.is_mount()
    assert list(disk.iterdir()) == []
    assert not exec_root.exists()
