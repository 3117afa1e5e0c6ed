"""Copies of programs that nobody can change."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from moorage.kernel.sealed import SealedCopies


@pytest.fixture
def copies() -> Iterator[SealedCopies]:
    kept = SealedCopies()
    yield kept
    kept.close()


def test_copy_runs_and_cannot_be_written(copies: SealedCopies) -> None:
    copy = copies.of("/bin/echo")
    assert copy is not None
    done = subprocess.run(
        ["echo", "sealed"],
        executable=f"/proc/self/fd/{copy}",
        capture_output=True,
        check=True,
        close_fds=False,
    )
    assert done.stdout == b"sealed\n"
    with pytest.raises(PermissionError):
        os.pwrite(copy, b"x", 0)
    with pytest.raises(PermissionError):
        os.ftruncate(copy, 0)
    assert not os.get_inheritable(copy)


def test_another_file_at_the_path_is_copied_anew(copies: SealedCopies, tmp_path: Path) -> None:
    program = tmp_path / "program"
    program.write_bytes(b"one")
    first = copies.of(str(program))
    assert first is not None
    assert copies.of(str(program)) == first
    newer = tmp_path / "newer"
    newer.write_bytes(b"another")
    newer.rename(program)
    second = copies.of(str(program))
    assert second is not None
    assert os.pread(second, 100, 0) == b"another"


def test_no_copy_of_what_is_not_there(copies: SealedCopies, tmp_path: Path) -> None:
    assert copies.of(str(tmp_path / "absent")) is None
