"""Directories of CDI files: priorities, conflicts, changes, and who may write there (R14)."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from moorage.cdi.directories import Directories
from moorage.lib.errors import System


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A directory below which others can write nothing, whatever the umask."""
    tmp_path.chmod(0o700)
    return tmp_path


def put(directory: Path, file: str, value: str, *names: str) -> Path:
    directory.mkdir(mode=0o755, exist_ok=True)
    devices = [{"name": n, "containerEdits": {"env": [f"FROM={value}"]}} for n in names or ("one",)]
    path = directory / file
    path.write_text(
        json.dumps({"cdiVersion": "0.6.0", "kind": "vendor.com/device", "devices": devices})
    )
    path.chmod(0o644)
    return path


def environment(directories: Directories, name: str = "vendor.com/device=one") -> str:
    _, edits = directories.read().edits([name])
    return (edits.env or [""])[0]


def test_the_later_directory_counts(root: Path) -> None:
    put(root / "a", "x.json", "a")
    put(root / "b", "x.json", "b")
    a, b = str(root / "a"), str(root / "b")
    assert environment(Directories([a, b])) == "FROM=b"
    assert environment(Directories([b, a])) == "FROM=a"
    assert Directories([a, b]).read().errors == {}


def test_a_device_of_two_files_of_one_directory_is_nobodys(root: Path) -> None:
    put(root / "a", "x.json", "x", "one", "two")
    put(root / "a", "y.json", "y")
    found = Directories([str(root / "a")]).read()
    assert list(found.devices) == ["vendor.com/device=two"]
    assert [len(errors) for errors in found.errors.values()] == [1, 1]
    with pytest.raises(
        System, match=r"unresolvable CDI devices vendor.com/device=one.*conflicting"
    ):
        found.edits(["vendor.com/device=one"])
    put(root / "b", "z.json", "z")  # one that counts more settles it
    assert environment(Directories([str(root / "a"), str(root / "b")])) == "FROM=z"


def test_changes_are_seen_at_the_next_use(root: Path) -> None:
    directories = Directories([str(root / "a")])
    assert directories.read().devices == {}
    path = put(root / "a", "x.json", "before")
    assert environment(directories) == "FROM=before"
    put(root / "a", "x.json", "after")
    assert environment(directories) == "FROM=after"
    path.unlink()
    assert directories.read().devices == {}


def test_other_files_and_directories_are_not_looked_at(root: Path) -> None:
    put(root / "a", "x.json.bak", "bak")
    put(root / "a", "x.yml", "yml")
    (root / "a" / "sub.json").mkdir()
    put(root / "a" / "sub.json", "x.json", "sub")
    found = Directories([str(root / "a"), str(root / "none")]).read()
    assert (found.devices, found.errors) == ({}, {})


def test_a_broken_file_leaves_the_others(root: Path) -> None:
    put(root / "a", "x.json", "x")
    (root / "a" / "bad.json").write_text("{")
    (root / "a" / "bad.json").chmod(0o644)
    os.mkfifo(root / "a" / "fifo.yaml", 0o644)
    found = Directories([str(root / "a")]).read()
    assert list(found.devices) == ["vendor.com/device=one"]
    assert {Path(path).name for path in found.errors} == {"bad.json", "fifo.yaml"}
    assert all("CDI: Error associated with spec file" in text for text in found.warnings())


@pytest.mark.parametrize("mode", [0o666, 0o664, 0o646])
def test_r14_a_file_that_others_can_write_is_refused(root: Path, mode: int) -> None:
    put(root / "a", "x.json", "x").chmod(mode)
    found = Directories([str(root / "a")]).read()
    assert found.devices == {}
    assert "x.json can be written by others than root" in found.warnings()[0]


@pytest.mark.parametrize("mode", [0o777, 0o775, 0o1777])
def test_r14_a_directory_that_others_can_write_is_refused(root: Path, mode: int) -> None:
    put(root / "a", "x.json", "x")
    (root / "a").chmod(mode)
    found = Directories([str(root / "a")]).read()
    assert found.devices == {}
    assert f"{root}/a can be written by others than root" in found.warnings()[0]


def test_r14_a_directory_above_that_others_can_write_is_refused(root: Path) -> None:
    (root / "open").mkdir()
    put(root / "open" / "a", "x.json", "x")
    (root / "open").chmod(0o777)
    found = Directories([str(root / "open" / "a")]).read()
    assert found.devices == {}
    assert f"{root}/open can be written by others than root" in found.warnings()[0]


def test_r14_links_are_followed_only_where_nobody_else_can_turn_them(root: Path) -> None:
    put(root / "a", "x.json", "x")
    (root / "link").symlink_to("a")
    assert environment(Directories([str(root / "link")])) == "FROM=x"
    (root / "open").mkdir()
    (root / "open" / "link").symlink_to(root / "a")
    (root / "open").chmod(0o777)
    found = Directories([str(root / "open" / "link")]).read()
    assert found.devices == {}
    assert "can be written by others than root" in found.warnings()[0]
    (root / "loop").symlink_to("loop")
    assert "too many levels" in Directories([str(root / "loop")]).read().warnings()[0]


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away")
def test_r14_what_belongs_to_another_is_refused(root: Path) -> None:
    os.chown(put(root / "a", "x.json", "x"), 12345, 0)
    put(root / "a", "y.json", "y", "two")
    found = Directories([str(root / "a")]).read()
    assert list(found.devices) == ["vendor.com/device=two"]
    assert "belongs to user 12345, not to root" in found.warnings()[0]
    os.chown(root / "a", 12345, 0)
    assert Directories([str(root / "a")]).read().devices == {}


def test_no_directories_switch_it_off() -> None:
    found = Directories().read()
    assert (found.enabled, found.devices, found.errors) == (False, {}, {})
