"""Directories that a layer implies look like those they cover."""

from __future__ import annotations

import os
import resource
from pathlib import Path

from moorage.storage import stacking

TIME_NS = 1_500_000_000_000_000_000


def layer(root: Path, *directories: str) -> Path:
    root.mkdir()
    for name in directories:
        (root / name).mkdir(parents=True)
    return root


def looks(path: Path) -> tuple[int, int, bytes]:
    status = path.stat()
    try:
        attribute = os.getxattr(path, "user.kept")
    except OSError:
        attribute = b""
    return status.st_mode & 0o7777, status.st_mtime_ns, attribute


def test_an_implied_directory_looks_like_the_topmost_one_below(tmp_path: Path) -> None:
    base = layer(tmp_path / "base", "a/b")
    middle = layer(tmp_path / "middle", "a")
    for path, mode in {base / "a/b": 0o1711, base / "a": 0o700, middle / "a": 0o750}.items():
        os.setxattr(path, "user.kept", str(path).encode())
        path.chmod(mode)
        os.utime(path, ns=(TIME_NS, TIME_NS))
    top = layer(tmp_path / "top", "a/b/new")
    made = looks(top / "a/b/new")
    stacking.inherit(top, [middle, base], ["a", "a/b", "a/b/new", "gone"])
    assert looks(top / "a") == (0o750, TIME_NS, str(middle / "a").encode())
    assert looks(top / "a/b") == (0o1711, TIME_NS, str(base / "a/b").encode())
    assert looks(top / "a/b/new") == made, "nothing is covered"


def test_what_a_file_or_a_link_hides_is_not_covered(tmp_path: Path) -> None:
    base = layer(tmp_path / "base", "a/b", "c")
    for path in (base / "a/b", base / "c"):
        path.chmod(0o700)
    middle = layer(tmp_path / "middle")
    (middle / "a").write_text("in the way")
    (middle / "c").symlink_to("elsewhere")
    top = layer(tmp_path / "top", "a/b", "c")
    names = ["a", "a/b", "c"]
    before = [looks(top / name) for name in names]
    stacking.inherit(top, [middle, base], names)
    assert [looks(top / name) for name in names] == before


def test_any_number_of_directories_takes_few_descriptors(tmp_path: Path) -> None:
    names = [f"d{number}" for number in range(200)]
    base, top = layer(tmp_path / "base", *names), layer(tmp_path / "top", *names)
    (base / names[-1]).chmod(0o700)
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    free = os.dup(0)  # the lowest number that is
    os.close(free)
    resource.setrlimit(resource.RLIMIT_NOFILE, (free + 20, hard))
    try:
        stacking.inherit(top, [base], names)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    assert (top / names[-1]).stat().st_mode & 0o7777 == 0o700
