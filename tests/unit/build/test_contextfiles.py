"""A context in its archive answers as it does once it is unpacked."""

from __future__ import annotations

import io
import os
import tarfile
from collections.abc import Iterable
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from moorage.build import contextfiles
from moorage.build.contextfiles import ContextFiles, Packed
from moorage.build.files.digest import Part
from moorage.lib.errors import InvalidParameter, NotFound

_NAMES = st.sampled_from(["a", "b", "a/a", "a/b", "b/a", "b/b.md", "a/a/b"])
_LOOKS = st.tuples(
    st.sampled_from([tarfile.REGTYPE, tarfile.DIRTYPE, tarfile.SYMTYPE]),
    st.sampled_from([0o644, 0o755, 0o600, 0o4755]),
    st.sampled_from(["", "x", "a", "b", "b/a", "/b", "../b"]),
)
_MEMBERS = st.lists(
    st.tuples(_NAMES, _LOOKS).map(lambda pair: (pair[0], *pair[1])),
    min_size=2,
    max_size=6,
    unique_by=lambda member: (member[0], member[1] != tarfile.DIRTYPE),
)
_PATTERNS = st.lists(
    st.sampled_from(["a", "b", "*", "**/b.md", "!b/a", "*/a", "!**/b.md", "!b"]), max_size=3
)
_SOURCES = st.sampled_from(["/", "a", "b", "*", "**/b.md", "b/*", "a/b", "./b/../a", "a/../b"])


def archive(members: Iterable[tuple[str, bytes, int, str]], compression: str = "") -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode=f"w:{compression}") as tar:  # type: ignore[call-overload]
        for name, kind, mode, text in members:
            info = tarfile.TarInfo(name)
            info.type, info.mode = kind, mode
            if kind == tarfile.REGTYPE:
                info.size = len(text)
                tar.addfile(info, io.BytesIO(text.encode()))
            else:
                info.linkname = text
                tar.addfile(info)
    return out.getvalue()


def received(place: Path, data: bytes) -> ContextFiles | None:
    """Return a context still in its archive, or None if that cannot be listed."""
    place.mkdir()
    listing = contextfiles.store(io.BytesIO(data), place / "tar")
    (place / "files").mkdir()
    files = ContextFiles(place / "files", "context:test")
    files.packed = Packed(place / "tar", listing) if listing is not None else None
    return files if listing is not None else None


def answers(files: ContextFiles, source: str, exclude: list[str], parents: bool) -> list[object]:  # noqa: FBT001
    """Return everything a build asks of a context."""
    part = Part(paths=((source, False),), parents=parents, exclude=tuple(exclude), owners=False)
    found: list[object] = []
    for ask in (lambda: files.digest(part), lambda: files.read("b/b.md"), lambda: files.read("a")):
        try:
            found.append(ask())
        except (InvalidParameter, OSError) as error:
            found.append(type(error))
    return found


@settings(max_examples=600, deadline=None)
@given(_MEMBERS, _PATTERNS, _PATTERNS, _SOURCES, st.booleans())
def test_the_archive_says_what_the_files_say(
    members: list[tuple[str, bytes, int, str]],
    ignored: list[str],
    exclude: list[str],
    source: str,
    parents: bool,  # noqa: FBT001
) -> None:
    if ignored:
        text = "\n".join(ignored)
        members = [*members, (".dockerignore", tarfile.REGTYPE, 0o644, text)]
    data = archive(members)
    with TemporaryDirectory() as directory:
        packed = received(Path(directory, "packed"), data)
        if packed is None:
            return
        try:
            contextfiles.unpack(_made(Path(directory, "plain")), io.BytesIO(data))
        except InvalidParameter:
            with pytest.raises(InvalidParameter):
                packed.unpack()
            return
        plain = ContextFiles(Path(directory, "plain"), "context:test")
        for files in (packed, plain):
            files.ignore("Dockerfile")
        listed = answers(packed, source, exclude, parents)
        assert listed == answers(plain, source, exclude, parents)
        packed.unpack()
        assert _tree(packed.root) == _tree(plain.root)
        assert answers(packed, source, exclude, parents) == listed


def _made(path: Path) -> Path:
    path.mkdir()
    return path


def _tree(root: Path) -> dict[str, tuple[int, bytes | str]]:
    found: dict[str, tuple[int, bytes | str]] = {}
    for path in sorted(root.rglob("*")):
        content: bytes | str = ""
        if path.is_symlink():
            content = os.readlink(path)
        elif path.is_file():
            content = path.read_bytes()
        found[str(path.relative_to(root))] = (path.lstat().st_mode, content)
    return found


@pytest.mark.parametrize("compression", ["", "gz", "xz", "bz2"])
def test_what_a_cached_build_asks_needs_no_files(tmp_path: Path, compression: str) -> None:
    data = archive(
        [
            ("Dockerfile", tarfile.REGTYPE, 0o644, "FROM scratch"),
            ("d/link", tarfile.SYMTYPE, 0o777, "/etc/passwd"),
            ("d/file", tarfile.REGTYPE, 0o600, "x"),
        ],
        compression,
    )
    files = received(tmp_path / "context", data)
    assert files is not None
    assert files.read("Dockerfile") == b"FROM scratch"
    assert files.ignore("Dockerfile") is None
    files.digest(Part(paths=(("/", True),), owners=False))
    with pytest.raises(NotFound):
        files.digest(Part(paths=(("missing", True),), owners=False))
    assert files.packed is not None
    assert not list(files.root.iterdir())


def test_the_mode_of_a_copied_directory_counts(tmp_path: Path) -> None:
    digests = set()
    for number, mode in enumerate((0o755, 0o700)):
        data = archive([("d", tarfile.DIRTYPE, mode, ""), ("d/f", tarfile.REGTYPE, 0o644, "x")])
        files = received(tmp_path / str(number), data)
        assert files is not None
        digests.add(files.digest(Part(paths=(("d", True),), owners=False)))
    assert len(digests) == 2
