"""Comparing trees by descriptor: what a container changed."""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Final

from moorage.kernel.openat2 import RESOLVE_BENEATH, RESOLVE_NO_SYMLINKS, openat2
from moorage.storage.archive.entry import OPAQUE_MARKER
from moorage.storage.snapshots.contract import Change, ChangeKind

_DIRECTORY: Final = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW
_RESOLVE: Final = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS
OPAQUE: Final = ("trusted.overlay.opaque", "user.fuseoverlayfs.opaque", "user.overlay.opaque")


def open_root(path: Path) -> int:
    """Open a tree of ours."""
    return os.open(path, _DIRECTORY | os.O_CLOEXEC)


def is_whiteout(found: os.stat_result) -> bool:
    """Whether *found* is overlay's mark of a removed name."""
    return stat.S_ISCHR(found.st_mode) and found.st_rdev == 0


def is_opaque(fd: int) -> bool:
    """Whether nothing below shows through the directory *fd*."""
    with suppress(FileNotFoundError):
        os.lstat(OPAQUE_MARKER, dir_fd=fd)
        return True
    for key in OPAQUE:
        with suppress(OSError):
            if os.getxattr(fd, key) == b"y":
                return True
    return False


def entries(fd: int) -> dict[str, os.stat_result]:
    """Return the names in directory *fd* and what they are."""
    found = {}
    for name in os.listdir(fd):
        with suppress(FileNotFoundError):
            found[name] = os.lstat(name, dir_fd=fd)
    return found


def apparent_size(root: Path) -> int:
    """Return the bytes of all files below *root*; a file with several names counts once."""
    total = 0
    seen: set[tuple[int, int]] = set()
    stack = [""]
    with ExitStack() as closing:
        top = open_root(root)
        closing.callback(os.close, top)
        while stack:
            relative = stack.pop()
            try:
                fd = openat2(top, relative or ".", _DIRECTORY, resolve=_RESOLVE)
            except OSError as error:
                if error.errno in {errno.ENOENT, errno.ENOTDIR, errno.ELOOP, errno.ENAMETOOLONG}:
                    continue  # it went meanwhile, or lies deeper than a path can say
                raise
            try:
                for name, found in entries(fd).items():
                    if stat.S_ISDIR(found.st_mode):
                        stack.append(f"{relative}/{name}" if relative else name)
                    elif stat.S_ISREG(found.st_mode):
                        key = (found.st_dev, found.st_ino)
                        if found.st_nlink == 1 or key not in seen:
                            total += found.st_size
                            seen.add(key)
            finally:
                os.close(fd)
    return total


@contextmanager
def _depth_is_bounded() -> Iterator[None]:
    try:
        yield
    except RecursionError as error:
        raise OSError(errno.ENAMETOOLONG, "directories are nested too deeply") from error


def overlay_changes(upper: Path, lowers: Sequence[Path]) -> list[Change]:
    """Return what the overlay layer *upper* changes on *lowers* (topmost first)."""
    with ExitStack() as closing:
        roots = []
        for path in (upper, *lowers):
            fd = open_root(path)
            closing.callback(os.close, fd)
            roots.append(fd)
        found: list[Change] = []
        with _depth_is_bounded():
            _overlay_directory(roots[0], roots[1:], "", found)
        return sorted(found)


def _overlay_directory(upper: int, lowers: Sequence[int], path: str, found: list[Change]) -> None:
    """Compare one directory with those it is merged with."""
    for name, status in entries(upper).items():
        if name == OPAQUE_MARKER:
            continue
        below, merged = _look_up(lowers, name)
        full = f"{path}/{name}"
        before = len(found)
        if is_whiteout(status):
            if below is not None:
                found.append(Change(full, ChangeKind.DELETED))
            continue
        with ExitStack() as closing:
            for fd in merged:
                closing.callback(os.close, fd)
            if stat.S_ISDIR(status.st_mode):
                child = os.open(name, _DIRECTORY | os.O_CLOEXEC, dir_fd=upper)
                closing.callback(os.close, child)
                opaque = is_opaque(child)
                _overlay_directory(child, [] if opaque else merged, full, found)
                if opaque:
                    _report_hidden(child, merged, full, found)
        if below is None:
            found.append(Change(full, ChangeKind.ADDED))
        elif len(found) > before or not _same_directory(status, below):
            found.append(Change(full, ChangeKind.MODIFIED))


def _look_up(lowers: Sequence[int], name: str) -> tuple[os.stat_result | None, list[int]]:
    """Return what *name* is in the stack, and the directories that are merged under it."""
    first: os.stat_result | None = None
    merged: list[int] = []
    for lower in lowers:
        try:
            status = os.lstat(name, dir_fd=lower)
        except FileNotFoundError:
            continue
        if is_whiteout(status) or not stat.S_ISDIR(status.st_mode):
            if first is None and not is_whiteout(status):
                first = status
            break
        first = first or status
        fd = os.open(name, _DIRECTORY | os.O_CLOEXEC, dir_fd=lower)
        merged.append(fd)
        if is_opaque(fd):
            break
    return first, merged


def _report_hidden(upper: int, merged: Sequence[int], path: str, found: list[Change]) -> None:
    """Report as deleted what an opaque directory hides and does not replace."""
    names = {name for lower in merged for name in os.listdir(lower)} - set(os.listdir(upper))
    for name in names:
        below, directories = _look_up(merged, name)
        for fd in directories:
            os.close(fd)
        if below is not None:
            found.append(Change(f"{path}/{name}", ChangeKind.DELETED))


def _same_directory(left: os.stat_result, right: os.stat_result) -> bool:
    """Whether two directories look alike: one that was only copied up is no change."""
    if not (stat.S_ISDIR(left.st_mode) and stat.S_ISDIR(right.st_mode)):
        return False
    return (left.st_mode, left.st_uid, left.st_gid, left.st_mtime_ns) == (
        right.st_mode,
        right.st_uid,
        right.st_gid,
        right.st_mtime_ns,
    )


def tree_changes(new: Path, old: Path | None) -> list[Change]:
    """Return how tree *new* differs from tree *old*, by comparing every file's status."""
    with ExitStack() as closing:
        left = open_root(new)
        closing.callback(os.close, left)
        right = None
        if old is not None:
            right = open_root(old)
            closing.callback(os.close, right)
        found: list[Change] = []
        with _depth_is_bounded():
            _tree_directory(left, right, "", found)
        return sorted(found)


def _tree_directory(new: int, old: int | None, path: str, found: list[Change]) -> None:
    inside = entries(new)
    before = entries(old) if old is not None else {}
    for name, status in inside.items():
        full = f"{path}/{name}"
        was = before.get(name)
        start = len(found)
        if stat.S_ISDIR(status.st_mode):
            both = was is not None and stat.S_ISDIR(was.st_mode)
            with ExitStack() as closing:
                left = os.open(name, _DIRECTORY | os.O_CLOEXEC, dir_fd=new)
                closing.callback(os.close, left)
                right = None
                if both and old is not None:
                    right = os.open(name, _DIRECTORY | os.O_CLOEXEC, dir_fd=old)
                    closing.callback(os.close, right)
                _tree_directory(left, right, full, found)
        if was is None:
            found.append(Change(full, ChangeKind.ADDED))
        elif len(found) > start or _differs(status, was):
            found.append(Change(full, ChangeKind.MODIFIED))
    found += [Change(f"{path}/{name}", ChangeKind.DELETED) for name in before if name not in inside]


def _differs(new: os.stat_result, old: os.stat_result) -> bool:
    if (new.st_mode, new.st_uid, new.st_gid, new.st_rdev) != (
        old.st_mode,
        old.st_uid,
        old.st_gid,
        old.st_rdev,
    ):
        return True
    if stat.S_ISDIR(new.st_mode):
        return False
    return (new.st_size, new.st_mtime_ns) != (old.st_size, old.st_mtime_ns)
