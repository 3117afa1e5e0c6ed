"""A tar stream from a container into a directory of this machine, and nowhere else.

The container, and so the stream, may be hostile. Every name is walked component by component from
the target's descriptor, and no link on the way is followed: a link the archive itself planted leads
nowhere, and neither does one somebody swaps in while we work. Device nodes are refused, set-user-ID
bits are dropped, since the files become the caller's.
"""

from __future__ import annotations

import os
import stat
from tarfile import TarError, TarFile

from moorage.cli.failure import CommandError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from tarfile import TarInfo
    from typing import IO

CHUNK = 1 << 20
DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
CREATE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
KEPT_MODE = 0o1777


class ForwardReader:
    """A stream of chunks as the file ``tarfile`` wants: reads, and seeks forward only."""

    def __init__(self, chunks: Iterator[bytes]) -> None:
        self._chunks = chunks
        self._waiting = b""
        self._position = 0

    def tell(self) -> int:
        """Return how many bytes were read."""
        return self._position

    def seek(self, position: int) -> None:
        """Skip to *position*."""
        while self._position < position:
            if not self.read(min(CHUNK, position - self._position)):
                return

    def read(self, size: int) -> bytes:
        """Return *size* bytes, fewer at the end."""
        parts: list[bytes] = []
        left = size
        while left:
            if not self._waiting:
                self._waiting = next(self._chunks, b"")
                if not self._waiting:
                    break
            part = self._waiting[:left]
            self._waiting = self._waiting[len(part) :]
            parts.append(part)
            left -= len(part)
        self._position += size - left
        return b"".join(parts)


def unpack(chunks: Iterator[bytes], directory: str, renamed: tuple[str, str] | None) -> int:
    """Write the stream's entries below *directory*; return the number of bytes in files.

    *renamed* changes the first component of every name from one to the other.

    Raises: CommandError (a name that leads out, a node of a kind we refuse, a broken archive).
    """
    root = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        tar = TarFile(fileobj=ForwardReader(chunks))  # type: ignore[arg-type]
        return _Target(root, renamed).extract(tar)
    except TarError as e:
        raise CommandError(f"the archive is damaged: {e}") from e
    finally:
        os.close(root)


class _Target:
    def __init__(self, root: int, renamed: tuple[str, str] | None) -> None:
        self.root = root
        self.renamed = renamed
        self.later: list[tuple[list[str], TarInfo]] = []  # modes and times of directories

    def extract(self, tar: TarFile) -> int:
        size = 0
        while (entry := tar.next()) is not None:
            parts = self._parts(entry.name)
            if parts:
                content = tar.extractfile(entry) if entry.isreg() else None
                self._write(parts, entry, content)
                size += entry.size if entry.isreg() else 0
            tar.members.clear()  # type: ignore[attr-defined] # a million must not stay in memory
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

    def _write(self, parts: list[str], entry: TarInfo, content: IO[bytes] | None) -> None:
        parent = self._open_parent(parts[:-1])
        name = parts[-1]
        try:
            if entry.isdir():
                self._make_directory(parent, name)
                self.later.append((parts, entry))
                return
            self._make_room(parent, name)
            if content is not None:
                self._write_file(parent, name, entry, content)
            elif entry.issym():
                os.symlink(entry.linkname, name, dir_fd=parent)
            elif entry.islnk():
                self._link(parent, name, entry)
            elif entry.isfifo():
                os.mkfifo(name, entry.mode & KEPT_MODE, dir_fd=parent)
            else:
                raise CommandError(f"refused: {entry.name!r} is a device node")
        except OSError as e:
            raise CommandError(f"{'/'.join(parts)}: {e.strerror}") from e
        finally:
            os.close(parent)

    def _open_parent(self, parts: list[str]) -> int:
        """Open the directory that holds an entry, making what is missing."""
        current = os.dup(self.root)
        for part in parts:
            try:
                following = self._open_or_make(current, part)
            except OSError as e:
                raise CommandError(
                    f"refused: {'/'.join(parts)!r} does not lead through directories alone"
                ) from e
            finally:
                os.close(current)
            current = following
        return current

    def _open_or_make(self, parent: int, name: str) -> int:
        try:
            return os.open(name, DIRECTORY, dir_fd=parent)
        except FileNotFoundError:
            os.mkdir(name, 0o755, dir_fd=parent)
            return os.open(name, DIRECTORY, dir_fd=parent)

    def _make_directory(self, parent: int, name: str) -> None:
        try:
            os.mkdir(name, 0o700, dir_fd=parent)
        except FileExistsError as e:
            if not stat.S_ISDIR(os.lstat(name, dir_fd=parent).st_mode):
                raise CommandError(f"cannot overwrite non-directory {name!r} with directory") from e

    def _make_room(self, parent: int, name: str) -> None:
        try:
            existing = os.lstat(name, dir_fd=parent)
        except FileNotFoundError:
            return
        if stat.S_ISDIR(existing.st_mode):
            raise CommandError(f"cannot overwrite directory {name!r} with non-directory")
        os.unlink(name, dir_fd=parent)

    def _write_file(self, parent: int, name: str, entry: TarInfo, content: IO[bytes]) -> None:
        descriptor = os.open(name, CREATE, 0o600, dir_fd=parent)
        with open(descriptor, "wb", buffering=0) as file:
            left = entry.size
            while left:
                chunk = content.read(min(CHUNK, left))
                if not chunk:
                    raise CommandError(f"the archive ends in the middle of {entry.name!r}")
                left -= len(chunk)
                file.write(chunk)
            os.fchmod(descriptor, entry.mode & KEPT_MODE)
            os.utime(descriptor, (entry.mtime, entry.mtime))

    def _link(self, parent: int, name: str, entry: TarInfo) -> None:
        """Make a hard link to an earlier entry; its way is walked as carefully as any."""
        target = self._parts(entry.linkname)
        if not target:
            raise CommandError(f"refused: {entry.name!r} is a hard link to nothing")
        holder = self._open_parent(target[:-1])
        try:
            os.link(target[-1], name, src_dir_fd=holder, dst_dir_fd=parent, follow_symlinks=False)
        finally:
            os.close(holder)

    def _finish_directory(self, parts: list[str], entry: TarInfo) -> None:
        """Set mode and time once nothing more is written into the directory."""
        parent = self._open_parent(parts[:-1])
        try:
            descriptor = os.open(parts[-1], DIRECTORY, dir_fd=parent)
        except OSError:
            return  # the archive put something else in its place later on
        finally:
            os.close(parent)
        os.fchmod(descriptor, entry.mode & KEPT_MODE)
        os.utime(descriptor, (entry.mtime, entry.mtime))
        os.close(descriptor)
