"""Which storage driver, and what those say that are not to be had."""

from __future__ import annotations

from pathlib import Path

import pytest

from moorage.lib.errors import InvalidParameter, MoorageError
from moorage.storage.snapshots.choose import choose, load


@pytest.mark.parametrize("name", ["aufs", "devicemapper", "overlay", "zfs"])
def test_a_driver_that_is_gone_says_why_and_what_to_use(tmp_path: Path, name: str) -> None:
    with pytest.raises(InvalidParameter, match=f"driver {name} is not supported.*use overlay2"):
        choose(tmp_path, name, {})


def test_an_unknown_driver_or_option_is_refused_with_what_is_known(tmp_path: Path) -> None:
    with pytest.raises(InvalidParameter, match="known: overlay2, btrfs, fuse-overlayfs, vfs"):
        choose(tmp_path, "extfs", {})
    with pytest.raises(InvalidParameter, match=r"vfs: unknown option overlay2.size .*none"):
        load(tmp_path, "vfs", {"overlay2.size": "1g"})
    with pytest.raises(InvalidParameter, match="overlay2: unknown option nonsense"):
        choose(tmp_path, "", {"nonsense": "1"})


def test_a_driver_that_has_layers_goes_first(tmp_path: Path) -> None:
    (tmp_path / "vfs" / "layer").mkdir(parents=True)
    assert choose(tmp_path, "", {}).name == "vfs"


def test_btrfs_needs_btrfs(tmp_path: Path) -> None:
    with pytest.raises(MoorageError, match="needs its directory on btrfs"):
        choose(tmp_path, "btrfs", {})
