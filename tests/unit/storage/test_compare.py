"""What a layer's tree must hold, going by an archive that names things more than once."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, cast

from moorage.spec.digest import Digest
from moorage.storage import compare
from moorage.storage.layerrecords import Layer
from support.layers import Tar

if TYPE_CHECKING:
    from moorage.storage.snapshots.contract import SnapshotDriver

LAYER = Layer(
    chain_id=Digest("sha256:" + "0" * 64),
    diff_id=Digest("sha256:" + "0" * 64),
    parent=None,
    name="layer",
    size=0,
    tar_size=0,
    created_ns=0,
)


class Trees:
    """As much of a driver as is asked."""

    def __init__(self, root: Path) -> None:
        self._root = root

    def tree(self, _name: str) -> Path:
        return self._root


def difference(root: Path, tar: Tar) -> str:
    return compare.differences(cast("SnapshotDriver", Trees(root)), LAYER, iter([tar.raw()]))


def test_what_a_later_member_replaces_is_not_looked_for(tmp_path: Path) -> None:
    tar = Tar().directory("a/", 0o700).add("a/b/c", b"1").add("ab", b"2").add("a", b"3")
    (tmp_path / "a").write_bytes(b"3")
    (tmp_path / "ab").write_bytes(b"2")
    for name in ("a", "ab"):
        (tmp_path / name).chmod(0o644)
    assert difference(tmp_path, tar) == ""
    (tmp_path / "ab").unlink()
    assert difference(tmp_path, tar) == "/ab: No such file or directory"


def test_a_directory_named_again_keeps_what_is_in_it(tmp_path: Path) -> None:
    tar = Tar().directory("a/", 0o755).add("a/f", b"1").directory("a/", 0o700)
    (tmp_path / "a").mkdir(mode=0o700)
    (tmp_path / "a/f").write_bytes(b"other")
    (tmp_path / "a/f").chmod(0o644)
    assert difference(tmp_path, tar) == "/a/f: has other content"
