"""The files of one build context: unpacked on disk, or still in the archive they came in.

An archive is unpacked when a step wants its files. Until then its listing answers what the
Dockerfile's reader and the cache ask, so a build whose steps are all cached writes no file.
"""

from __future__ import annotations

import os
import stat
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO, Final

from moorage.build import ignore
from moorage.build.files import digest, listing
from moorage.build.files.digest import Part
from moorage.build.files.listing import Listing, NeedsFiles
from moorage.build.files.select import walk
from moorage.build.ignore import Matcher
from moorage.kernel.openat2 import openat2
from moorage.lib import removal
from moorage.lib.errors import InvalidParameter
from moorage.storage.archive import chunks, compression
from moorage.storage.archive.extract import extract
from moorage.storage.archive.options import ExtractOptions

_IGNORE_FILE: Final = ".dockerignore"
_READ_LIMIT: Final = 4 << 20
_OPTIONS: Final = ExtractOptions(owner=(0, 0), devices=False)


class Packed:
    """An archive that waits to be unpacked: the plain tar in a file, and what is in it."""

    def __init__(self, path: Path, found: Listing) -> None:
        self.path = path
        self.listing = found
        self.ignored: Matcher | None = None

    def read(self, name: str) -> bytes | None:
        """Return a file's content; None if it is not there. Raises: NeedsFiles."""
        member = self.listing.file(name)
        if member is None:
            return None
        if not stat.S_ISREG(member.mode) or member.size > _READ_LIMIT:
            raise NeedsFiles  # which says what is wrong with it
        with self.path.open("rb") as file:
            file.seek(member.offset)
            return file.read(member.size)


@dataclass(slots=True)
class ContextFiles:
    """One set of files given by the client. All methods block.

    It is released when its session is closed and nothing uses it any more: a step done once for
    two builds goes on with the files of a client that has gone.
    ``_lock`` guards ``packed``, which is None once the files are in ``root``, and the users.
    """

    root: Path
    identity: str
    known: dict[str, bytes] = field(default_factory=dict)  # content digests by path
    release: Callable[[], None] = lambda: None
    filtered: bool = False  # the client has applied .dockerignore already
    packed: Packed | None = None
    _users: int = 1  # the session
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def use(self) -> None:
        """Keep the files until ``leave``."""
        with self._lock:
            self._users += 1

    def leave(self) -> None:
        """Release the files, if nobody else uses them; the session's end is one ``leave``."""
        with self._lock:
            self._users -= 1
            last = self._users == 0
        if last:
            self.release()

    def unpack(self) -> None:
        """Put the files where ``root`` is, if they are not there yet.

        Raises: InvalidParameter (a hostile archive), OSError.
        """
        with self._lock:
            if (packed := self.packed) is None:
                return
            with packed.path.open("rb") as file:
                unpack(self.root, file)
            if packed.ignored is not None:
                apply_ignore(self.root, packed.ignored)
            packed.path.unlink()
            self.known.update(
                (path, member.digest)
                for path, member in packed.listing.members.items()
                if member.digest
            )
            self.packed = None

    def read(self, path: str) -> bytes | None:
        """Return a file, links followed inside of the context; None if it is not there.

        Raises: InvalidParameter (no regular file, or too large).
        """
        if (packed := self.packed) is not None:
            with suppress(NeedsFiles):
                return packed.read(path.lstrip("/"))
        self.unpack()
        return read_file(self.root, path)

    def names_beside(self, path: str) -> list[str]:
        """Return the names in the directory of *path*, for a message."""
        self.unpack()
        try:
            return sorted(os.listdir(self.root / os.path.dirname(path.lstrip("/"))))
        except OSError:
            return []

    def digest(self, part: Part) -> str:
        """Return the digest of *part*. Raises: NotFound (a path that must be there)."""
        if (packed := self.packed) is not None and not part.owners:
            with suppress(NeedsFiles):
                return digest.of_listing(packed.listing, part)
        self.unpack()
        return digest.of_files(self.root, part, self.known)

    def ignore(self, dockerfile: str) -> Matcher | None:
        """Apply ``NAME.dockerignore``, or else ``.dockerignore``; return it.

        Raises: InvalidParameter (a malformed pattern).
        """
        matcher = self._ignore_rules(dockerfile)
        if matcher is None or self.filtered:
            return matcher
        if (packed := self.packed) is not None:
            packed.ignored = matcher
            packed.listing.drop(matcher)
        else:
            apply_ignore(self.root, matcher)
        return matcher

    def _ignore_rules(self, dockerfile: str) -> Matcher | None:
        for path in (f"{dockerfile}.dockerignore", _IGNORE_FILE):
            content = self.read(path)
            if content is not None:
                patterns = ignore.parse(content)
                return Matcher(patterns) if patterns else None
        return None


def store(file: BinaryIO, target: Path) -> Listing | None:
    """Write the tar in *file*, compressed or not, plain to *target*; return what is in it.

    None: it is not plain enough for a listing. Raises: InvalidParameter (no archive).
    """
    _, plain = compression.decompress(chunks.of_file(file))

    def kept(out: BinaryIO) -> Iterator[bytes]:
        for chunk in plain:
            out.write(chunk)
            yield chunk

    with target.open("xb", buffering=0) as out:
        return listing.read(kept(out), _OPTIONS.limits)


def unpack(root: Path, file: BinaryIO) -> None:
    """Unpack a tar, compressed or not, below *root*.

    Raises: InvalidParameter.
    """
    root_fd = os.open(root, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        _, plain = compression.decompress(chunks.of_file(file))
        extract(root_fd, "", plain, _OPTIONS)
        os.fchmod(root_fd, 0o755)  # whatever the archive says of its root
    finally:
        os.close(root_fd)


def read_file(root: Path, path: str) -> bytes | None:
    """Return a file of a context, links followed inside of it; None if it is not there.

    Raises: InvalidParameter (no regular file, or too large).
    """
    try:
        fd = _open(root, path)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        raise InvalidParameter(f"cannot read {path} of the build context: {error}") from error
    with os.fdopen(fd, "rb") as file:
        status = os.fstat(fd)
        if not stat.S_ISREG(status.st_mode):
            raise InvalidParameter(f"{path} of the build context is not a regular file")
        if status.st_size > _READ_LIMIT:
            raise InvalidParameter(
                f"{path} of the build context is larger than {_READ_LIMIT} bytes"
            )
        return file.read()


def _open(root: Path, path: str) -> int:
    root_fd = os.open(root, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        return openat2(root_fd, path.lstrip("/"), os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY)
    finally:
        os.close(root_fd)


def apply_ignore(root: Path, matcher: Matcher) -> None:
    """Remove what *matcher* leaves out of a context."""
    root_fd = os.open(root, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    excluded: list[str] = []
    try:
        for _, _, path, status in walk(root_fd):
            kept_above = stat.S_ISDIR(status.st_mode) and not matcher.prunes(path)
            if matcher.excludes(path) and not kept_above:
                excluded.append(path)
    finally:
        os.close(root_fd)
    remove_below(root, sorted(excluded, reverse=True))


def remove_below(
    root: Path, paths: Iterable[str], *, keep: Callable[[str], bool] = lambda _: False
) -> None:
    """Remove *paths*, children first, but for those that *keep* wants."""
    root_fd = os.open(root, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        for path in paths:
            if not keep(path):
                with suppress(FileNotFoundError, NotADirectoryError):
                    _remove_one(root_fd, path)
    finally:
        os.close(root_fd)


def _remove_one(root_fd: int, path: str) -> None:
    parent, _, name = path.rpartition("/")
    fd = openat2(root_fd, parent or ".", os.O_RDONLY | os.O_DIRECTORY)
    try:
        removal.remove(fd, name)
    finally:
        os.close(fd)
