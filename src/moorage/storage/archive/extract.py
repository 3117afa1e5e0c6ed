"""Unpacking: one pass over a stream, nothing outside the root, as quick as the kernel lets.

Each member is made in its parent directory by descriptor, the parent having been resolved inside
the root; the last name is never followed (O_EXCL, O_NOFOLLOW). Times of directories come last.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Final

from msgspec import Struct

from moorage.lib import removal
from moorage.lib.errors import Conflict, InvalidParameter
from moorage.storage.archive import entry as kinds
from moorage.storage.archive.entry import Entry, clean
from moorage.storage.archive.options import IGNORED_XATTRS, ExtractOptions, Whiteouts
from moorage.storage.archive.reader import Recorder, TarReader
from moorage.storage.archive.rooted import Rooted

_CREATE: Final = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
_BAD_NAME: Final = frozenset(
    {
        errno.ENAMETOOLONG,
        errno.ENOTDIR,
        errno.ELOOP,
        errno.EINVAL,
        errno.ENOENT,
        errno.EISDIR,
        errno.ENOTEMPTY,
        errno.EXDEV,
        errno.EMLINK,
        errno.EILSEQ,
        errno.ENXIO,
    }
)

_LAST_NS: Final = ((1 << 63) - 1) * 1_000_000_000  # time_t
_FIRST_NS: Final = -(1 << 63) * 1_000_000_000

Shelter = Callable[[int, str, str], None]  # parent, last name, whole name: move it away


class Extracted(Struct):
    """What was unpacked."""

    entries: int = 0
    bytes_total: int = 0  # sum of the sizes of files, as Docker counts a layer
    implied: list[str] = []  # directories not listed themselves, but something in them was


def extract(
    root_fd: int,
    path: str,
    chunks: Iterator[bytes],
    options: ExtractOptions | None = None,
    *,
    recorder: Recorder | None = None,
    shelter: Shelter | None = None,
) -> Extracted:
    """Unpack an uncompressed tar below directory *path* of the root *root_fd*.

    *path* and every member resolve inside the root, symbolic links included. *recorder* notes how
    to write the archive again; *shelter* may save what a later member is about to replace.
    Raises: InvalidParameter (the archive is broken, hostile or over a limit), Conflict
    (``replace`` is off), OSError (the disk is full and the like). What was unpacked until then
    stays: the caller throws the tree away.
    """
    return Extractor(root_fd, path, options or ExtractOptions(), recorder, shelter).run(chunks)


class Extractor:
    """One extraction."""

    def __init__(
        self,
        root_fd: int,
        path: str,
        options: ExtractOptions,
        recorder: Recorder | None,
        shelter: Shelter | None,
    ) -> None:
        self._base = clean(path)
        self._options = options
        self._recorder = recorder
        self._shelter = shelter
        self.result = Extracted(implied=[])
        self._rooted = Rooted(root_fd, self._implied)
        self._times: dict[str, int] = {}
        self._parents: set[str] = set()  # of all members, where they may be there already
        self._made: set[str] = set()  # only while whiteouts are applied in place
        self._stored = 0
        self._makers: dict[str, Callable[[Entry, int, str, str], None]] = {
            kinds.DIRECTORY: self._directory,
            kinds.SYMLINK: self._symlink,
            kinds.HARD_LINK: self._hard_link,
            kinds.CHARACTER: self._device,
            kinds.BLOCK: self._device,
            kinds.FIFO: self._device,
        }

    def run(self, chunks: Iterator[bytes]) -> Extracted:
        """Unpack everything."""
        self._reader = TarReader(chunks, self._recorder)
        limits, result = self._options.limits, self.result
        try:
            for entry in self._reader:
                result.entries += 1
                self._stored += entry.stored
                if self._stored > limits.bytes_total or result.entries > limits.entries:
                    limits.check(self._stored, result.entries)
                try:
                    self._member(entry)
                except OSError as error:
                    if error.errno in _BAD_NAME:
                        raise _impossible(entry, error.strerror) from error
                    raise
                except (OverflowError, ValueError) as error:  # more than the system calls can say
                    raise _impossible(entry, error) from error
            self._set_times()
            unlisted = {"", *self._parents} - self._times.keys()
            result.implied += unlisted.difference(result.implied)
        finally:
            self._rooted.forget()
        return result

    def _member(self, entry: Entry) -> None:
        name = clean(entry.name)
        options = self._options
        if options.rename is not None:
            renamed = options.rename(name)
            if renamed is None:
                return
            name = renamed
        if self._base:
            name = f"{self._base}/{name}" if name else self._base
        if not name:
            self._root(entry)
            return
        directory, _, last = name.rpartition("/")
        parent = self._rooted.directory(directory)
        if options.whiteouts is Whiteouts.APPLY:
            self._parents.add(directory)
        if options.whiteouts is not Whiteouts.KEEP and last.startswith(kinds.WHITEOUT_PREFIX):
            self._whiteout(parent, directory, last)
            return
        if entry.kind == kinds.REGULAR:
            self._file(entry, parent, last, name)
        else:
            make = self._makers.get(entry.kind)
            if make is None:
                raise InvalidParameter(f"unhandled tar header type {entry.kind!r} ({name!r})")
            make(entry, parent, last, name)
        if options.whiteouts is Whiteouts.APPLY:
            self._made.add(name)

    # --- the kinds of members -------------------------------------------------------------------

    def _file(self, entry: Entry, parent: int, last: str, name: str) -> None:
        try:
            fd = os.open(last, _CREATE, 0o600, dir_fd=parent)
        except FileExistsError:
            parent = self._clear_way(parent, last, name)
            fd = os.open(last, _CREATE, 0o600, dir_fd=parent)
        try:
            if entry.sparse is not None:
                self._sparse(entry, fd)
            elif entry.stored:
                self._reader.content(_Writer(fd).write, replayable=True)
            else:
                self._reader.content(len, replayable=True)
            self.result.bytes_total += entry.size
            self._attributes(entry, fd)
            os.utime(fd, ns=(entry.mtime_ns, entry.mtime_ns))
        finally:
            os.close(fd)

    def _sparse(self, entry: Entry, fd: int) -> None:
        os.ftruncate(fd, entry.size)
        segments = iter(entry.sparse or ())
        offset, left = next(segments, (0, 0))

        def write(part: memoryview) -> None:
            nonlocal offset, left
            while part:
                while not left:
                    offset, left = next(segments)
                written = os.pwrite(fd, part[:left], offset)
                offset, left, part = offset + written, left - written, part[written:]

        self._reader.content(write)

    def _directory(self, entry: Entry, parent: int, last: str, name: str) -> None:
        whiteout = False
        try:
            os.mkdir(last, 0o700, dir_fd=parent)
        except FileExistsError:
            if not stat.S_ISDIR(os.lstat(last, dir_fd=parent).st_mode):
                whiteout = self._is_whiteout(parent, last)
                parent = self._clear_way(parent, last, name, directory=True)
                os.mkdir(last, 0o700, dir_fd=parent)
        fd = self._rooted.adopt(name, parent, last)
        if whiteout:  # the lower directory of this name is gone, not merged
            self._set_opaque(fd)
        self._attributes(entry, fd)
        self._later(name, entry)

    def _root(self, entry: Entry) -> None:
        if entry.kind == kinds.DIRECTORY and self._options.rename is None:
            self._attributes(entry, self._rooted.root_fd)
            self._later("", entry)

    def _symlink(self, entry: Entry, parent: int, last: str, name: str) -> None:
        if not entry.link or "\0" in entry.link:
            raise InvalidParameter(f"invalid archive: the symbolic link {name!r} has no target")
        try:
            os.symlink(entry.link, last, dir_fd=parent)
        except FileExistsError:
            parent = self._clear_way(parent, last, name)
            os.symlink(entry.link, last, dir_fd=parent)
        uid, gid = self._owner(entry)
        os.chown(last, uid, gid, dir_fd=parent, follow_symlinks=False)
        times = (entry.mtime_ns, entry.mtime_ns)
        os.utime(last, ns=times, dir_fd=parent, follow_symlinks=False)
        self._xattrs(entry, f"/proc/self/fd/{parent}/{last}")

    def _hard_link(self, entry: Entry, parent: int, last: str, name: str) -> None:
        target = clean(entry.link)
        if self._options.rename is not None:
            target = self._options.rename(target) or ""
        if self._base:
            target = f"{self._base}/{target}"
        source_directory, _, source = target.rpartition("/")
        if not source:
            raise InvalidParameter(f"invalid archive: the hard link {name!r} has no target")
        if target == name:
            return
        # a descriptor of its own: the lent one of *parent* must stay valid beside it
        source_parent = os.dup(self._rooted.directory(source_directory))
        try:
            parent = self._rooted.directory(name.rpartition("/")[0])
            with suppress(FileExistsError):
                _link(source, last, source_parent, parent)
                return
            if _same(source, last, source_parent, parent):
                return
            parent = self._clear_way(parent, last, name)
            _link(source, last, source_parent, parent)
        finally:
            os.close(source_parent)

    def _device(self, entry: Entry, parent: int, last: str, name: str) -> None:
        if entry.kind != kinds.FIFO and not self._options.devices:
            return
        file_type = {
            kinds.CHARACTER: stat.S_IFCHR,
            kinds.BLOCK: stat.S_IFBLK,
            kinds.FIFO: stat.S_IFIFO,
        }[entry.kind]
        number = os.makedev(entry.major, entry.minor) if entry.kind != kinds.FIFO else 0
        try:
            os.mknod(last, file_type | 0o600, number, dir_fd=parent)
        except FileExistsError:
            parent = self._clear_way(parent, last, name)
            os.mknod(last, file_type | 0o600, number, dir_fd=parent)
        fd = os.open(last, os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=parent)
        try:
            uid, gid = self._owner(entry)
            itself = f"/proc/self/fd/{fd}"  # by descriptor: never through a link
            os.chown(itself, uid, gid)
            os.chmod(itself, entry.mode)
        finally:
            os.close(fd)
        times = (entry.mtime_ns, entry.mtime_ns)
        os.utime(last, ns=times, dir_fd=parent, follow_symlinks=False)

    # --- whiteouts ------------------------------------------------------------------------------

    def _whiteout(self, parent: int, directory: str, last: str) -> None:
        if last == kinds.OPAQUE_MARKER:
            if self._options.whiteouts is Whiteouts.APPLY:
                self._apply_opaque(parent, directory)
            else:
                self._set_opaque(parent)
            return
        if last.startswith(kinds.WHITEOUT_META_PREFIX):
            return  # what aufs kept for itself
        hidden = last.removeprefix(kinds.WHITEOUT_PREFIX)
        if hidden in {"", ".", ".."}:
            raise InvalidParameter(f"invalid archive: the whiteout {last!r} points at no file")
        name = f"{directory}/{hidden}" if directory else hidden
        if self._options.whiteouts is Whiteouts.APPLY:
            if name not in self._made:
                with suppress(FileNotFoundError):
                    if removal.remove(parent, hidden):
                        self._rooted.forget()
            return
        try:
            os.mknod(hidden, stat.S_IFCHR | 0o600, 0, dir_fd=parent)
        except FileExistsError:
            # of this very layer, so it stays, but must not be merged with what is below it
            if stat.S_ISDIR(os.lstat(hidden, dir_fd=parent).st_mode):
                self._set_opaque(self._rooted.directory(name))

    def _apply_opaque(self, parent: int, directory: str) -> None:
        """Remove what earlier layers left in *directory*, and keep what this one has made."""
        prefix = f"{directory}/" if directory else ""
        for child in os.listdir(parent):
            name = prefix + child
            if name not in self._made:
                self._remove_lower(parent, child, name)
        self._rooted.forget()

    def _remove_lower(self, parent: int, child: str, name: str) -> None:
        below = f"{name}/"
        if any(made.startswith(below) for made in self._made):
            fd = os.open(child, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW, dir_fd=parent)
            try:
                for grandchild in os.listdir(fd):
                    if below + grandchild not in self._made:
                        self._remove_lower(fd, grandchild, below + grandchild)
            finally:
                os.close(fd)
        else:
            removal.remove(parent, child)

    def _set_opaque(self, fd: int) -> None:
        fuse = self._options.whiteouts is Whiteouts.FUSE
        os.setxattr(fd, "user.fuseoverlayfs.opaque" if fuse else "trusted.overlay.opaque", b"y")

    def _is_whiteout(self, parent: int, last: str) -> bool:
        if self._options.whiteouts not in {Whiteouts.OVERLAY, Whiteouts.FUSE}:
            return False
        found = os.lstat(last, dir_fd=parent)
        return stat.S_ISCHR(found.st_mode) and found.st_rdev == 0

    # --- what is there already ------------------------------------------------------------------

    def _clear_way(self, parent: int, last: str, name: str, *, directory: bool = False) -> int:
        """Take away what stands at *name*; return the parent's descriptor, perhaps a new one."""
        found = os.lstat(last, dir_fd=parent)
        if not self._options.replace and stat.S_ISDIR(found.st_mode) != directory:
            if directory:
                raise Conflict(f'cannot overwrite non-directory "/{name}" with directory "/{name}"')
            raise Conflict(f'cannot overwrite directory "/{name}" with non-directory "/{name}"')
        whiteout = stat.S_ISCHR(found.st_mode) and found.st_rdev == 0
        if self._shelter is not None and not whiteout:
            self._shelter(parent, last, name)
            void = not stat.S_ISREG(found.st_mode)
        else:
            void = removal.remove(parent, last)
        if void:
            self._rooted.forget()
            return self._rooted.directory(name.rpartition("/")[0])
        return parent

    # --- attributes -----------------------------------------------------------------------------

    def _owner(self, entry: Entry) -> tuple[int, int]:
        if self._options.owner is not None:
            return self._options.owner
        if self._options.ids is not None:
            return self._options.ids(entry.uid, entry.gid)
        return entry.uid, entry.gid

    def _attributes(self, entry: Entry, fd: int) -> None:
        """Set owner, then mode (chown clears set-id), then attributes (it clears them too)."""
        uid, gid = self._owner(entry)
        os.fchown(fd, uid, gid)
        os.fchmod(fd, entry.mode)
        if entry.xattrs:
            self._xattrs(entry, fd)

    def _xattrs(self, entry: Entry, target: int | str) -> None:
        if not entry.xattrs or not self._options.xattrs:
            return
        for key, value in entry.xattrs.items():
            if key.startswith(IGNORED_XATTRS):
                continue
            try:
                os.setxattr(target, key, value, follow_symlinks=not isinstance(target, str))
            except OSError as error:
                if error.errno not in {errno.ENOTSUP, errno.EPERM, errno.EINVAL}:
                    raise

    def _implied(self, name: str, _fd: int) -> None:
        self.result.implied.append(name)

    def _later(self, name: str, entry: Entry) -> None:
        """Note the time of a directory, which what is made in it still moves."""
        if not _FIRST_NS <= entry.mtime_ns <= _LAST_NS:
            raise OverflowError("timestamp out of range")
        self._times[name] = entry.mtime_ns

    def _set_times(self) -> None:
        for name, mtime_ns in self._times.items():
            times = (mtime_ns, mtime_ns)
            if not name:
                os.utime(self._rooted.root_fd, ns=times)
                continue
            directory, _, last = name.rpartition("/")
            parent = self._rooted.directory(directory)
            with suppress(FileNotFoundError):  # replaced by a later member
                os.utime(last, ns=times, dir_fd=parent, follow_symlinks=False)


def _impossible(entry: Entry, why: object) -> InvalidParameter:
    return InvalidParameter(f"invalid archive: cannot make {entry.name[:300]!r}: {why}")


class _Writer:
    """Writes pieces to a descriptor."""

    __slots__ = ("fd",)

    def __init__(self, fd: int) -> None:
        self.fd = fd

    def write(self, part: memoryview) -> None:
        """Write all of *part*."""
        while part:
            part = part[os.write(self.fd, part) :]


def _link(source: str, last: str, source_parent: int, parent: int) -> None:
    os.link(source, last, src_dir_fd=source_parent, dst_dir_fd=parent, follow_symlinks=False)


def _same(source: str, last: str, source_parent: int, parent: int) -> bool:
    left = os.lstat(source, dir_fd=source_parent)
    right = os.lstat(last, dir_fd=parent)
    return (left.st_dev, left.st_ino) == (right.st_dev, right.st_ino)
