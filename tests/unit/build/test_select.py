"""What sources of COPY name, and where it goes."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from moorage.build.files.copy import Copier, Style
from moorage.build.files.select import Disk, select
from moorage.lib.errors import NotFound


@pytest.fixture
def tree(tmp_path: Path) -> Iterator[int]:
    """A context: ``top``, ``a/f``, ``a/b/g.md``, ``x/h.md``."""
    for name in ("top", "a/f", "a/b/g.md", "x/h.md"):
        path = tmp_path / "context" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(name)
    fd = os.open(tmp_path / "context", os.O_RDONLY | os.O_DIRECTORY)
    yield fd
    os.close(fd)


@pytest.mark.parametrize(
    ("source", "arrived"),
    [
        ("top", {"top"}),
        ("./top", {"top"}),
        ("a", {"f", "b/g.md"}),
        ("a/*", {"f", "g.md"}),
        ("*/*.md", {"h.md"}),
        ("**/*.md", {"g.md", "h.md"}),
        (".", {"top", "a/f", "a/b/g.md", "x/h.md"}),
    ],
)
def test_names_without_parents(tree: int, tmp_path: Path, source: str, arrived: set[str]) -> None:
    assert copied(tree, tmp_path, source, parents=False) == arrived


@pytest.mark.parametrize(
    ("source", "arrived"),
    [
        ("top", {"top"}),
        ("x/*.md", {"x/h.md"}),
        ("./a/f", {"a/f"}),
        ("a", {"a/f", "a/b/g.md"}),
        ("a/b/", {"a/b/g.md"}),
        ("a/./b", {"b/g.md"}),
        ("a/./b/g.md", {"b/g.md"}),
        ("./a/./b/*", {"b/g.md"}),
        ("a/./**/*.md", {"b/g.md"}),
        ("**/*.md", {"a/b/g.md", "x/h.md"}),
        (".", {"top", "a/f", "a/b/g.md", "x/h.md"}),
    ],
)
def test_paths_with_parents(tree: int, tmp_path: Path, source: str, arrived: set[str]) -> None:
    assert copied(tree, tmp_path, source, parents=True) == arrived


def test_what_is_not_there_is_named(tree: int) -> None:
    with pytest.raises(NotFound, match=r'"/a/ff": not found'):
        select(Disk(tree), "a/ff", parents=True)
    assert select(Disk(tree), "*.none", required=False) == []


def copied(tree: int, tmp_path: Path, source: str, *, parents: bool) -> set[str]:
    """Copy to an empty directory; return the files there."""
    target = tmp_path / "target"
    target.mkdir()
    fd = os.open(target, os.O_RDONLY | os.O_DIRECTORY)
    try:
        copier = Copier(fd, Style(owner=(os.getuid(), os.getgid())))
        for item in select(Disk(tree), source, parents=parents):
            copier.copy(tree, item, "/", into_directory=True)
    finally:
        os.close(fd)
    return {str(path.relative_to(target)) for path in target.rglob("*") if path.is_file()}
