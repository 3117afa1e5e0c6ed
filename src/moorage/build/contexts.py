"""Build contexts on disk: received as a tar, or brought up to date file by file.

::

    build/contexts/<random>/        files of one build, removed with its session
    build/kept/<client's key>/files the last context of a client's directory
    build/kept/<client's key>/index what is in it, as the client describes it

A kept context serves the next build from the same directory: the client describes its files, only
those that are new or changed are sent, and the digests of the others are still known. Files there
are replaced, never written to, so layers may hold hard links to them. The index is removed before
a change and written after it: a context whose update was cut off is sent whole the next time.
"""

from __future__ import annotations

import os
import stat
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO, Final

import msgspec
from msgspec import Struct

from moorage.build import ignore
from moorage.build.files.select import walk
from moorage.build.ignore import Matcher
from moorage.build.session import ContextFiles
from moorage.kernel.openat2 import openat2
from moorage.lib import atomicfile, bridge, ids, offload, removal
from moorage.lib.errors import InvalidParameter
from moorage.storage.archive import chunks, compression
from moorage.storage.archive.extract import extract
from moorage.storage.archive.options import ExtractOptions

IGNORE_FILE: Final = ".dockerignore"
_READ_LIMIT: Final = 4 << 20
_OPTIONS: Final = ExtractOptions(owner=(0, 0), devices=False)


class FileFact(Struct, frozen=True, array_like=True):
    """How a client describes one file."""

    path: str
    mode: int  # with the kind
    size: int
    mtime_ns: int
    link: str = ""


class Contexts:
    """All contexts of the daemon."""

    def __init__(self, root: Path) -> None:
        self._fresh = root / "contexts"
        self._kept = root / "kept"
        self._busy: set[str] = set()

    def open(self) -> None:
        """Remove what builds of a former daemon left."""
        atomicfile.remove_tree(self._fresh)
        self._fresh.mkdir(mode=0o700, parents=True)
        self._kept.mkdir(mode=0o700, parents=True, exist_ok=True)

    async def receive(self, body: AsyncIterator[bytes]) -> ContextFiles:
        """Unpack a tar, compressed or not, to a context of its own.

        Raises: InvalidParameter (no archive, or a hostile one).
        Cancel: nothing is left.
        """
        files = self.empty()
        try:
            await bridge.feed(body, lambda file: unpack(files.root, file))
        except BaseException:
            files.release()
            raise
        return files

    def empty(self) -> ContextFiles:
        """Return a context without files."""
        root = self._fresh / ids.token()
        root.mkdir(mode=0o755)
        return ContextFiles(
            root, identity=f"context:{root.name}", release=lambda: atomicfile.remove_tree(root)
        )

    # --- kept contexts -------------------------------------------------------------------------

    async def compare(self, key: str, facts: list[FileFact]) -> tuple[Update, list[str]]:
        """Say which of the described files the daemon lacks; they are sent to ``Update.finish``."""
        name = key if key and key.isalnum() and key not in self._busy else f"once{ids.token()}"
        self._busy.add(name)
        update = Update(self._kept / name, facts, lambda: self._busy.discard(name))
        wanted = await offload.run("fs", update.plan)
        return update, wanted


class Update:
    """A kept context being brought up to date."""

    def __init__(self, place: Path, facts: list[FileFact], free: Callable[[], None]) -> None:
        self._place = place
        self._facts = {fact.path: fact for fact in facts}
        self._free = free
        self._known: dict[str, bytes] = {}
        self._wanted: list[str] = []

    def plan(self) -> list[str]:
        """Drop what is gone or changed; return the paths to send."""
        files = self._place / "files"
        had = _read_index(self._place)
        if had is None:
            atomicfile.remove_tree(files)
            had = _Index({}, {})
        files.mkdir(mode=0o755, parents=True, exist_ok=True)
        same = {path: fact for path, fact in had.facts.items() if self._facts.get(path) == fact}
        self._known = {path: digest for path, digest in had.digests.items() if path in same}
        (self._place / "index").unlink(missing_ok=True)
        gone = [path for path in had.facts if path not in same]
        _remove(files, sorted(gone, reverse=True), keep=self._facts)
        self._wanted = [path for path in self._facts if path not in same]
        return self._wanted

    async def finish(self, body: AsyncIterator[bytes]) -> ContextFiles:
        """Take the tar of the files that were wanted; the context is complete afterwards."""
        files = self._place / "files"
        try:
            await bridge.feed(body, lambda file: unpack(files, file))
        except BaseException:
            self._free()
            raise
        await offload.run("fs", self._set_times, files)
        context = ContextFiles(files, identity=f"context:{self._place.name}", known=self._known)
        context.filtered = True
        context.release = lambda: self._keep(context)
        return context

    def _set_times(self, files: Path) -> None:
        """Give what has arrived the exact times of the client's files."""
        for path in self._wanted:
            fact = self._facts[path]
            times = (fact.mtime_ns, fact.mtime_ns)
            with suppress(FileNotFoundError, NotADirectoryError):
                os.utime(files / path, ns=times, follow_symlinks=False)

    def _keep(self, context: ContextFiles) -> None:
        """Write the index with the digests that the build has found out."""
        try:
            if self._place.name.startswith("once"):
                atomicfile.remove_tree(self._place)
                return
            index = _Index(self._facts, context.known)
            atomicfile.write(self._place / "index", msgspec.msgpack.encode(index), sync=False)
        finally:
            self._free()


class _Index(Struct, frozen=True):
    facts: dict[str, FileFact]
    digests: dict[str, bytes]


def _read_index(place: Path) -> _Index | None:
    try:
        return msgspec.msgpack.decode((place / "index").read_bytes(), type=_Index)
    except (FileNotFoundError, msgspec.MsgspecError):
        return None


def _remove(root: Path, paths: Iterable[str], keep: dict[str, FileFact]) -> None:
    """Remove *paths*, children first; a directory that stays one keeps what is in it."""
    root_fd = os.open(root, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        for path in paths:
            wanted = keep.get(path)
            if wanted is not None and stat.S_ISDIR(wanted.mode):
                continue
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


def unpack(root: Path, file: BinaryIO) -> None:
    """Unpack a tar, compressed or not, below *root*. Blocking.

    Raises: InvalidParameter.
    """
    root_fd = os.open(root, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        _, plain = compression.decompress(chunks.of_file(file))
        extract(root_fd, "", plain, _OPTIONS)
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


def ignore_rules(root: Path, dockerfile: str) -> Matcher | None:
    """Return what ``NAME.dockerignore``, or else ``.dockerignore``, leaves out.

    Raises: InvalidParameter (a malformed pattern).
    """
    for path in (f"{dockerfile}.dockerignore", IGNORE_FILE):
        content = read_file(root, path)
        if content is not None:
            patterns = ignore.parse(content)
            return Matcher(patterns) if patterns else None
    return None


def apply_ignore(root: Path, matcher: Matcher) -> None:
    """Remove what *matcher* leaves out of a context."""
    root_fd = os.open(root, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    excluded: list[str] = []
    try:
        for _, _, path, status in walk(root_fd):
            kept_above = stat.S_ISDIR(status.st_mode) and not matcher.prunes(path)
            if matcher.excludes(path) and not kept_above:
                excluded.append(path)
        _remove(root, sorted(excluded, reverse=True), keep={})
    finally:
        os.close(root_fd)


def near_names(root: Path, path: str) -> list[str]:
    """Return the names beside *path* in a context, for a message."""
    try:
        return sorted(os.listdir(root / os.path.dirname(path.lstrip("/"))))
    except OSError:
        return []
