"""A tar stream from a container into a directory of this machine, and nowhere else.

The container, and so the stream, may be hostile. Every name is walked component by component from
the target's descriptor, and no link on the way is followed: a link the archive itself planted leads
nowhere, and neither does one somebody swaps in while we work. Device nodes are refused, set-user-ID
bits are dropped, since the files become the caller's.
"""

from __future__ import annotations

import errno
import posix

from moorage.cli.copying import tarheader
from moorage.cli.copying.tarreader import TarReader
from moorage.cli.failure import CommandError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from moorage.cli.copying.tarheader import Member

DIRECTORY = posix.O_RDONLY | posix.O_DIRECTORY | posix.O_NOFOLLOW | posix.O_CLOEXEC
CREATE = posix.O_WRONLY | posix.O_CREAT | posix.O_EXCL | posix.O_NOFOLLOW | posix.O_CLOEXEC
KEPT_MODE = 0o1777
_KIND, _IS_DIRECTORY = 0o170000, 0o040000
_UNKEPT = frozenset({errno.ENOTSUP, errno.EPERM})  # no such attributes there, or not for us


def unpack(chunks: Iterator[bytes], directory: str, renamed: tuple[str, str] | None) -> int:
    """Write the stream's entries below *directory*; return the number of bytes in files.

    *renamed* changes the first component of every name from one to the other.

    Raises: CommandError (a name that leads out, a node of a kind we refuse, a broken archive).
    """
    root = posix.open(directory, posix.O_RDONLY | posix.O_DIRECTORY | posix.O_CLOEXEC)
    try:
        return _Target(root, renamed).extract(TarReader(chunks))
    finally:
        posix.close(root)


class _Target:
    def __init__(self, root: int, renamed: tuple[str, str] | None) -> None:
        self.root = root
        self.renamed = renamed
        self.later: list[tuple[list[str], Member]] = []  # modes and times of directories

    def extract(self, tar: TarReader) -> int:
        size = 0
        for entry in tar:
            parts = self._parts(_text(entry.name))
            if parts:
                self._write(parts, entry, tar)
                size += entry.size
        for parts, entry in reversed(self.later):
            self._finish_directory(parts, entry)
        return size

    def _parts(self, name: str) -> list[str]:
        if name.startswith("/") or "\0" in name:
            raise CommandError(f"refused: the archive holds an absolute name: {name!r}")
        parts = [part for part in name.split("/") if part not in {"", "."}]
        if ".." in parts:
            raise CommandError(f"refused: the archive holds a name that leads out: {name!r}")
        if self.renamed is not None and parts:
            old, new = self.renamed
            if parts[0] != old:
                raise CommandError(f"refused: {name!r} is not part of what was asked for")
            parts = [new, *parts[1:]]
        return parts

    def _write(self, parts: list[str], entry: Member, tar: TarReader) -> None:
        parent = self._open_parent(parts[:-1])
        name = parts[-1]
        try:
            if entry.kind == tarheader.DIRECTORY:
                self._make_directory(parent, name)
                self.later.append((parts, entry))
                return
            self._make_room(parent, name)
            if entry.kind == tarheader.REGULAR:
                self._write_file(parent, name, entry, tar)
            elif entry.kind == tarheader.SYMLINK:
                posix.symlink(_text(entry.link), name, dir_fd=parent)
            elif entry.kind == tarheader.HARD_LINK:
                self._link(parent, name, entry)
            elif entry.kind == tarheader.FIFO:
                posix.mkfifo(name, entry.mode & KEPT_MODE, dir_fd=parent)
            else:
                raise CommandError(f"refused: {_text(entry.name)!r} is a device node")
        except OSError as e:
            raise CommandError(f"{'/'.join(parts)}: {e.strerror}") from e
        finally:
            posix.close(parent)

    def _open_parent(self, parts: list[str]) -> int:
        """Open the directory that holds an entry, making what is missing."""
        current = posix.dup(self.root)
        for part in parts:
            try:
                following = self._open_or_make(current, part)
            except OSError as e:
                raise CommandError(
                    f"refused: {'/'.join(parts)!r} does not lead through directories alone"
                ) from e
            finally:
                posix.close(current)
            current = following
        return current

    def _open_or_make(self, parent: int, name: str) -> int:
        try:
            return posix.open(name, DIRECTORY, dir_fd=parent)
        except FileNotFoundError:
            posix.mkdir(name, 0o755, dir_fd=parent)
            return posix.open(name, DIRECTORY, dir_fd=parent)

    def _make_directory(self, parent: int, name: str) -> None:
        try:
            posix.mkdir(name, 0o700, dir_fd=parent)
        except FileExistsError as e:
            if not _is_directory(parent, name):
                raise CommandError(f"cannot overwrite non-directory {name!r} with directory") from e

    def _make_room(self, parent: int, name: str) -> None:
        try:
            directory = _is_directory(parent, name)
        except FileNotFoundError:
            return
        if directory:
            raise CommandError(f"cannot overwrite directory {name!r} with non-directory")
        posix.unlink(name, dir_fd=parent)

    def _write_file(self, parent: int, name: str, entry: Member, tar: TarReader) -> None:
        descriptor = posix.open(name, CREATE, 0o600, dir_fd=parent)
        with open(descriptor, "wb", buffering=0) as file:
            file.writelines(tar.content())
            _finish(descriptor, entry)

    def _link(self, parent: int, name: str, entry: Member) -> None:
        """Make a hard link to an earlier entry; its way is walked as carefully as any."""
        target = self._parts(_text(entry.link))
        if not target:
            raise CommandError(f"refused: {_text(entry.name)!r} is a hard link to nothing")
        holder = self._open_parent(target[:-1])
        try:
            posix.link(
                target[-1], name, src_dir_fd=holder, dst_dir_fd=parent, follow_symlinks=False
            )
        finally:
            posix.close(holder)

    def _finish_directory(self, parts: list[str], entry: Member) -> None:
        """Set mode and time once nothing more is written into the directory."""
        parent = self._open_parent(parts[:-1])
        try:
            descriptor = posix.open(parts[-1], DIRECTORY, dir_fd=parent)
        except OSError:
            return  # the archive put something else in its place later on
        finally:
            posix.close(parent)
        _finish(descriptor, entry)
        posix.close(descriptor)


def _finish(descriptor: int, entry: Member) -> None:
    """Set attributes, mode and time."""
    for key, value in entry.records.items():
        if key.startswith(tarheader.XATTR):
            try:
                posix.setxattr(descriptor, key.removeprefix(tarheader.XATTR), value)
            except OSError as e:
                if e.errno not in _UNKEPT:
                    raise
    posix.fchmod(descriptor, entry.mode & KEPT_MODE)
    posix.utime(descriptor, ns=(entry.mtime_ns, entry.mtime_ns))


def _is_directory(parent: int, name: str) -> bool:
    return posix.lstat(name, dir_fd=parent).st_mode & _KIND == _IS_DIRECTORY


def _text(name: bytes) -> str:
    return name.decode("utf-8", "surrogateescape")
