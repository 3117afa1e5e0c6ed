"""The small files of a container are rewritten in place: somebody may have them mounted."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from moorage.containers import files


def test_a_new_file_can_be_read_by_everybody(tmp_path: Path) -> None:
    old = os.umask(0o022)
    try:
        files.rewrite(tmp_path / "hosts", b"127.0.0.1 a\n")
    finally:
        os.umask(old)
    assert (tmp_path / "hosts").stat().st_mode & 0o777 == 0o644
    assert (tmp_path / "hosts").read_bytes() == b"127.0.0.1 a\n"


@pytest.mark.parametrize(
    "content", [b"", b"short", b"of the same size!", b"longer than before, by far"]
)
def test_a_file_stays_the_same_file_and_has_the_new_content(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "hosts"
    path.write_bytes(b"of the old size!!")
    inode = path.stat().st_ino
    files.rewrite(path, content)
    assert path.read_bytes() == content
    assert path.stat().st_ino == inode


def test_what_is_the_same_already_is_not_written(tmp_path: Path) -> None:
    path = tmp_path / "hosts"
    path.write_bytes(b"127.0.0.1 a\n")
    os.utime(path, ns=(1, 1))
    files.rewrite(path, b"127.0.0.1 a\n")
    assert path.stat().st_mtime_ns == 1


def test_a_link_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "hosts").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(OSError, match="hosts"):
        files.rewrite(tmp_path / "hosts", b"x")
    assert not (tmp_path / "elsewhere").exists()
