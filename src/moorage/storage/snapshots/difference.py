"""How a writable layer differs from what it stands on: the same answer whichever driver kept it.

What counts is what a layer's archive can say of a path: kind, owner, mode, time, content, link,
device and the attributes that are packed. So a file that was only copied up, or was touched and
set back, is no change, and a directory that was removed and made again is told by what it lost:
BuildKit's differ takes the same view. Where one of several names of a file is new, a name that
was its only one before is reported with it, for the archive to keep them one file.

Directories are walked with a stack of names, so depth costs no descriptors.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Callable, Sequence
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Final, NamedTuple

from moorage.storage.archive import pack
from moorage.storage.archive.entry import OPAQUE_MARKER
from moorage.storage.snapshots.contract import Change, ChangeKind
from moorage.storage.snapshots.walk import (
    entries,
    is_opaque,
    is_whiteout,
    open_below,
    open_root,
)

Untouched = Callable[[os.stat_result, os.stat_result], bool]
"""Whether a file is surely what it was, going by its status now and that of the one below."""

_DIRECTORY: Final = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW
_FILE: Final = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK
_MARKERS: Final = frozenset({OPAQUE_MARKER, ".wh..opq"})  # fuse-overlayfs' beside the attribute
_CHUNK: Final = 1 << 20
_GONE: Final = (FileNotFoundError, NotADirectoryError)  # a running container may change anything


def overlay_changes(upper: Path, lowers: Sequence[Path]) -> list[Change]:
    """Return what the overlay layer *upper* changes on *lowers* (topmost first), sorted."""
    with ExitStack() as closing:
        roots = [_open(closing, path) for path in (upper, *lowers)]
        return _Overlay(roots[0], roots[1:]).run()


def tree_changes(new: Path, old: Path | None, untouched: Untouched) -> list[Change]:
    """Return how the whole tree *new* differs from tree *old* (None: an empty one), sorted."""
    with ExitStack() as closing:
        found = _Findings(untouched)
        left = _open(closing, new)
        right = None if old is None else _open(closing, old)
        stack = [("", right is not None)]
        while stack:
            relative, was_directory = stack.pop()
            below = right if was_directory else None
            stack += _compare_directory(found, left, below, relative)
        return found.result()


class Seen(NamedTuple):
    """One name in an open directory, and what it is."""

    directory: int
    name: str
    status: os.stat_result

    @property
    def path(self) -> str:
        """Where system calls without a descriptor's variant find it."""
        return f"/proc/self/fd/{self.directory}/{self.name}"


class _Findings:
    """What was found so far."""

    def __init__(self, untouched: Untouched) -> None:
        self._untouched = untouched
        self._found: dict[str, ChangeKind] = {}
        self._changed_files: set[tuple[int, int]] = set()  # those with several names
        self._single_names: dict[tuple[int, int], str] = {}  # unchanged: file -> what was its name

    def deleted(self, path: str) -> None:
        """Note that *path* is gone."""
        self._found[path] = ChangeKind.DELETED

    def compare(self, path: str, new: Seen, old: Seen | None) -> None:
        """Note *path* if it differs from what it was (None: nothing)."""
        status = new.status
        file = (status.st_dev, status.st_ino)
        several = status.st_nlink > 1 and not stat.S_ISDIR(status.st_mode)
        if old is None:
            self._found[path] = ChangeKind.ADDED
        elif self._differs(new, old):
            self._found[path] = ChangeKind.MODIFIED
        else:
            if several and old.status.st_nlink == 1:
                self._single_names[file] = path
            return
        if several:
            self._changed_files.add(file)

    def _differs(self, new: Seen, old: Seen) -> bool:
        if _plain(new.status) != _plain(old.status):
            return True
        if self._untouched(new.status, old.status):
            return False
        kind = stat.S_IFMT(new.status.st_mode)
        with suppress(FileNotFoundError):
            if kind == stat.S_IFLNK:
                return os.readlink(new.path) != os.readlink(old.path)
            if kind in {stat.S_IFDIR, stat.S_IFREG}:
                if pack.kept_xattrs(new.path) != pack.kept_xattrs(old.path):
                    return True
                return kind == stat.S_IFREG and not _same_content(new.path, old.path)
        return False

    def result(self) -> list[Change]:
        """Return the changes, with the directories they are in and the names they share."""
        for file, path in self._single_names.items():
            if file in self._changed_files:
                self._found[path] = ChangeKind.MODIFIED
        for path in list(self._found):
            directory = path.rpartition("/")[0]
            while directory and directory not in self._found:
                self._found[directory] = ChangeKind.MODIFIED
                directory = directory.rpartition("/")[0]
        return sorted(Change(path, kind) for path, kind in self._found.items())


class _Overlay:
    """Reads an upper directory against the lower ones it hides or is merged with."""

    def __init__(self, upper: int, lowers: Sequence[int]) -> None:
        self._upper = upper
        self._lowers = lowers
        self._found = _Findings(lambda _new, _old: False)
        # relative name, lower directories under it by number, whether nothing shows through
        self._stack: list[tuple[str, list[int], bool]] = [("", list(range(len(lowers))), False)]

    def run(self) -> list[Change]:
        """Return the changes."""
        while self._stack:
            relative, merged, opaque = self._stack.pop()
            with suppress(*_GONE), ExitStack() as closing:
                upper = descend(closing, self._upper, relative)
                lowers = [(n, descend(closing, self._lowers[n], relative)) for n in merged]
                self._directory(relative, upper, lowers, opaque=opaque or is_opaque(upper))
        return self._found.result()

    def _directory(
        self, relative: str, upper: int, lowers: Sequence[tuple[int, int]], *, opaque: bool
    ) -> None:
        inside = entries(upper)
        for name, status in inside.items():
            if name in _MARKERS:
                continue
            below, merged = look_up(lowers, name)
            if is_whiteout(status):
                if below is not None:
                    self._found.deleted(f"/{relative}{name}")
                continue
            self._found.compare(f"/{relative}{name}", Seen(upper, name, status), below)
            if stat.S_ISDIR(status.st_mode):
                self._stack.append((f"{relative}{name}/", merged, opaque))
        if opaque:
            hidden = {name for _, lower in lowers for name in os.listdir(lower)} - inside.keys()
            for name in hidden:
                if look_up(lowers, name)[0] is not None:
                    self._found.deleted(f"/{relative}{name}")


def look_up(lowers: Sequence[tuple[int, int]], name: str) -> tuple[Seen | None, list[int]]:
    """Return what *name* is in the stack, and the numbers of the directories merged under it.

    *lowers* are numbers and descriptors of the directories that it is looked for in.
    """
    first: Seen | None = None
    merged: list[int] = []
    for number, lower in lowers:
        try:
            status = os.lstat(name, dir_fd=lower)
        except FileNotFoundError:
            continue
        if is_whiteout(status):
            break
        first = first or Seen(lower, name, status)
        if not stat.S_ISDIR(status.st_mode):
            break
        merged.append(number)
        fd = os.open(name, _DIRECTORY | os.O_CLOEXEC, dir_fd=lower)
        try:
            if is_opaque(fd):
                break
        finally:
            os.close(fd)
    return first, merged


def _compare_directory(
    found: _Findings, new: int, old: int | None, relative: str
) -> list[tuple[str, bool]]:
    """Compare one directory; return those inside it, and whether each was one in *old* too."""
    deeper: list[tuple[str, bool]] = []
    with suppress(*_GONE), ExitStack() as closing:
        left = descend(closing, new, relative)
        right = None if old is None else descend(closing, old, relative)
        inside = entries(left)
        before = {} if right is None else entries(right)
        for name, status in inside.items():
            was = before.get(name)
            below = None if was is None or right is None else Seen(right, name, was)
            found.compare(f"/{relative}{name}", Seen(left, name, status), below)
            if stat.S_ISDIR(status.st_mode):
                both = was is not None and stat.S_ISDIR(was.st_mode)
                deeper.append((f"{relative}{name}/", both))
        for name in before.keys() - inside.keys():
            found.deleted(f"/{relative}{name}")
    return deeper


def _open(closing: ExitStack, path: Path) -> int:
    fd = open_root(path)
    closing.callback(os.close, fd)
    return fd


def descend(closing: ExitStack, root: int, relative: str) -> int:
    """Open directory *relative* below *root* until *closing*.

    Raises: FileNotFoundError, NotADirectoryError (it is none any more), OSError.
    """
    try:
        fd = open_below(root, relative)
    except OSError as error:
        if error.errno == errno.ELOOP:  # a link took its place meanwhile
            raise NotADirectoryError(relative) from error
        raise
    closing.callback(os.close, fd)
    return fd


def _plain(status: os.stat_result) -> tuple[int, ...]:
    """Return what an archive's header says of a file."""
    kind = stat.S_IFMT(status.st_mode)
    return (
        status.st_mode,
        status.st_uid,
        status.st_gid,
        status.st_mtime_ns,
        status.st_rdev if kind in {stat.S_IFCHR, stat.S_IFBLK} else 0,
        status.st_size if kind == stat.S_IFREG else 0,
    )


def _same_content(left: str, right: str) -> bool:
    with ExitStack() as closing:
        fds = []
        for path in (left, right):
            fd = os.open(path, _FILE | os.O_CLOEXEC)
            closing.callback(os.close, fd)
            fds.append(fd)
        while True:
            one, other = os.read(fds[0], _CHUNK), os.read(fds[1], _CHUNK)
            if one != other:
                return False
            if not one:
                return True
