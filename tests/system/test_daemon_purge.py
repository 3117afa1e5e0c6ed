"""``moord --purge`` takes away what a daemon made, and no more."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from support.daemon import BIN, Daemon

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


def tables() -> str:
    """Return the nftables tables of the host."""
    listed = subprocess.run(["nft", "list", "tables"], capture_output=True, text=True, check=True)
    return listed.stdout


def test_rules_go_although_the_store_cannot_be_opened(make_daemon: Callable[..., Daemon]) -> None:
    daemon = make_daemon().start()
    assert daemon.instance in tables()
    bridge = daemon.api.get("/networks/bridge").ok().json()["Options"]
    daemon.kill()  # in order it would take them along
    for part in daemon.data_root.glob("moorage.db*"):
        part.write_bytes(b"no database at all" * 999)
    roots = ["--data-root", str(daemon.data_root), "--exec-root", str(daemon.exec_root)]
    purge = [str(BIN / "moord"), "--purge", *roots]
    done = subprocess.run(purge, capture_output=True, text=True, check=False)
    name = bridge["com.docker.network.bridge.name"]  # which only the store knows
    subprocess.run(["ip", "link", "delete", name], check=True)
    assert (done.returncode, "not everything could be taken down" in done.stderr) == (0, True)
    assert daemon.instance not in tables()
    assert not daemon.data_root.exists()
