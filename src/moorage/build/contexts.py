"""Build contexts on disk: received as a tar, or brought up to date file by file.

::

    build/contexts/<random>/        files of one build, removed with its session
    build/contexts/<random>.tar     the archive they come in, until they are unpacked
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
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import msgspec
from msgspec import Struct

from moorage.build import contextfiles
from moorage.build.contextfiles import ContextFiles, Packed
from moorage.build.operations import whole
from moorage.lib import atomicfile, bridge, ids, offload
from moorage.lib.errors import System


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
        """Take a tar, compressed or not, for a context of its own.

        Raises: InvalidParameter (no archive, or a hostile one), System (the disk is full).
        Cancel: nothing is left.
        """
        files = self.empty()
        archive = _archive(files.root)
        try:
            with _host_errors():
                listing = await bridge.feed(body, lambda file: contextfiles.store(file, archive))
                if listing is not None:
                    files.packed = Packed(archive, listing)
                else:
                    await whole.blocking(_unpack, files.root)
        except BaseException:
            await whole.blocking(files.release)
            raise
        return files

    def empty(self) -> ContextFiles:
        """Return a context without files."""
        root = self._fresh / ids.token()
        root.mkdir(mode=0o755)
        return ContextFiles(root, identity=f"context:{root.name}", release=lambda: _remove(root))

    # --- kept contexts -------------------------------------------------------------------------

    async def compare(self, key: str, facts: list[FileFact]) -> tuple[Update, list[str]]:
        """Say which of the described files the daemon lacks; they are sent to ``Update.finish``."""
        name = key if key and key.isalnum() and key not in self._busy else f"once{ids.token()}"
        self._busy.add(name)
        update = Update(self._kept / name, facts, lambda: self._busy.discard(name))
        try:
            wanted = await whole.blocking(update.plan)
        except BaseException:
            await whole.blocking(update.give_up)
            raise
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
        contextfiles.remove_below(files, sorted(gone, reverse=True), keep=self._stays_directory)
        self._wanted = [path for path in self._facts if path not in same]
        return self._wanted

    def _stays_directory(self, path: str) -> bool:
        wanted = self._facts.get(path)
        return wanted is not None and stat.S_ISDIR(wanted.mode)

    async def finish(self, body: AsyncIterator[bytes]) -> ContextFiles:
        """Take the tar of the files that were wanted; the context is complete afterwards."""
        files = self._place / "files"
        try:
            with _host_errors():
                await bridge.feed(body, lambda file: contextfiles.unpack(files, file))
        except BaseException:
            await whole.blocking(self.give_up)
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
        except OSError:  # a full disk: the next build sends everything again
            atomicfile.remove_tree(self._place)
        finally:
            self._free()

    def give_up(self) -> None:
        """Leave nothing: without its index the context would be sent whole again. Blocking."""
        try:
            atomicfile.remove_tree(self._place)
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


@contextmanager
def _host_errors() -> Iterator[None]:
    """Give an error of the host words; one of the connection is the client's."""
    try:
        yield
    except ConnectionError:
        raise
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise System(f"cannot store the build context: {reason}") from error


def _archive(root: Path) -> Path:
    return root.with_name(f"{root.name}.tar")


def _unpack(root: Path) -> None:
    archive = _archive(root)
    with archive.open("rb") as file:
        contextfiles.unpack(root, file)
    archive.unlink()


def _remove(root: Path) -> None:
    _archive(root).unlink(missing_ok=True)
    atomicfile.remove_tree(root)
