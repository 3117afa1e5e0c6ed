import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from moorage.lib import atomicfile


def test_a_write_replaces_the_whole_file_with_its_mode(tmp_path: Path) -> None:
    target = tmp_path / "state"
    target.write_bytes(b"old and longer")
    atomicfile.write(target, b"new", mode=0o640)
    assert target.read_bytes() == b"new"
    assert target.stat().st_mode & 0o777 == 0o640
    assert os.listdir(tmp_path) == ["state"]


def test_a_write_that_fails_leaves_the_old_file_and_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    target = tmp_path / "state"
    target.write_bytes(b"old")

    def no_space(_fd: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", no_space)
    with pytest.raises(OSError, match="No space"):
        atomicfile.write(target, b"new")
    assert target.read_bytes() == b"old"
    assert os.listdir(tmp_path) == ["state"]


def test_removing_a_tree_follows_no_symlink(tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "precious").write_text("x")
    tree = tmp_path / "tree"
    (tree / "deep" / "er").mkdir(parents=True)
    (tree / "deep" / "link").symlink_to(outside)
    (tree / "deep" / "er" / "file").write_text("y")
    atomicfile.remove_tree(tree)
    assert not tree.exists()
    assert (outside / "precious").read_text() == "x"


def test_removing_what_is_not_there_is_fine(tmp_path: Path) -> None:
    atomicfile.remove_tree(tmp_path / "absent")
    atomicfile.remove_tree(tmp_path / "absent" / "deeper")


def just_before(
    monkeypatch: pytest.MonkeyPatch, call: str, name: str, deed: Callable[[], object]
) -> None:
    """Do *deed* when ``os.<call>`` is about to be asked for the file *name* the first time."""
    original = getattr(os, call)

    def overtaken(what: str | int, *arguments: object, **options: object) -> object:
        path = os.readlink(f"/proc/self/fd/{what}") if isinstance(what, int) else what
        if os.path.basename(path) == name:
            monkeypatch.undo()
            deed()
        return original(what, *arguments, **options)

    monkeypatch.setattr(os, call, overtaken)


@pytest.mark.parametrize("call", ["open", "listdir", "rmdir"])
def test_a_tree_goes_although_somebody_removes_a_part_of_it_meanwhile(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call: str
) -> None:
    """As an exec's directory and its container's are removed, each in a thread of its own."""
    part = tmp_path / "tree" / "exec" / "one"
    part.mkdir(parents=True)
    for directory in (part, part.parent, part.parent.parent):
        (directory / "record.json").write_text("{}")
    just_before(monkeypatch, call, "one", lambda: shutil.rmtree(part))
    atomicfile.remove_tree(tmp_path / "tree")
    assert not part.exists()
    assert os.listdir(tmp_path) == []


def test_a_tree_goes_although_somebody_still_writes_into_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tree = tmp_path / "tree"
    tree.mkdir()
    late = tree / "exit.json"
    just_before(monkeypatch, "rmdir", "tree", lambda: late.write_text("{}"))
    atomicfile.remove_tree(tree)
    assert os.listdir(tmp_path) == []
