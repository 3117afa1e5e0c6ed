"""The files of an archive, known without unpacking it: names, modes, sizes and digests.

It answers what the cache asks of a build context, so that a build that finds all its steps there
never writes the files. What only a file system can tell (where a link leads) is not imitated:
``NeedsFiles`` asks for the unpacked files instead. Archives with anything beyond files,
directories and symbolic links, each named once, have no listing at all.
"""

from __future__ import annotations

import hashlib
import stat
from collections.abc import Iterator
from typing import Final

from msgspec import Struct

from moorage.build.ignore import Matcher
from moorage.storage.archive import entry as kinds
from moorage.storage.archive.entry import Entry, clean
from moorage.storage.archive.options import IGNORED_XATTRS, Limits
from moorage.storage.archive.reader import TarReader

_ENTRIES: Final = 200_000  # more are not worth the memory
_NAME: Final = 255  # bytes, NAME_MAX
_PATH: Final = 4000  # bytes, below PATH_MAX
_IMPLIED: Final = stat.S_IFDIR | 0o755
_KINDS: Final = {
    kinds.REGULAR: stat.S_IFREG,
    kinds.DIRECTORY: stat.S_IFDIR,
    kinds.SYMLINK: stat.S_IFLNK,
}


class NeedsFiles(Exception):
    """Only the unpacked files can answer this."""


class Listed(Struct):
    """One member."""

    mode: int  # with the kind
    size: int = 0
    digest: bytes = b""  # SHA-256 of a regular file's content
    offset: int = 0  # where that begins in the plain archive
    link: str = ""


class Listing:
    """A ``Tree`` of members by cleaned name."""

    def __init__(self) -> None:
        self.members: dict[str, Listed] = {}
        self._names: dict[str, set[str]] = {"": set()}

    def mode(self, path: str) -> int | None:
        """Return the mode with the kind, or None. Raises: NeedsFiles, if a link is on the way."""
        mode = self.own_mode(path)
        if mode is not None and stat.S_ISLNK(mode):
            raise NeedsFiles
        return mode

    def own_mode(self, path: str) -> int | None:
        """Return it with the last link not followed. Raises: NeedsFiles."""
        member = self._find(path)
        return member.mode if member is not None else None if path else _IMPLIED

    def names(self, directory: str) -> list[str]:
        """Return what *directory* holds; nothing if it is none. Raises: NeedsFiles."""
        self.mode(directory)
        return list(self._names.get(directory, ()))

    def file(self, path: str) -> Listed | None:
        """Return the member at *path*. Raises: NeedsFiles, if a link is on the way."""
        return self._find(path) if self.mode(path) is not None else None

    def _find(self, path: str) -> Listed | None:
        """Return the member; ``..`` and links above it are the file system's to resolve."""
        if path == ".." or path.startswith("../") or "/.." in path:
            raise NeedsFiles
        found = self.members.get(path)
        if found is None:
            parent = path.rpartition("/")[0]
            while parent:
                above = self.members.get(parent)
                if above is not None and stat.S_ISLNK(above.mode):
                    raise NeedsFiles
                parent = parent.rpartition("/")[0]
        return found

    def walk(self, top: str, matcher: Matcher | None) -> Iterator[tuple[str, str, Listed]]:
        """Yield (path below *top*, whole path, member) as ``select.walk`` does for files."""
        prefix = f"{top}/" if top else ""
        for name in sorted(self._names.get(top, ())):
            yield from self._walk(name, prefix, matcher)

    def _walk(
        self, path: str, prefix: str, matcher: Matcher | None
    ) -> Iterator[tuple[str, str, Listed]]:
        member = self.members[prefix + path]
        if matcher is None or not matcher.excludes(path):
            yield path, prefix + path, member
        if stat.S_ISDIR(member.mode) and not (matcher is not None and matcher.prunes(path)):
            for name in sorted(self._names[prefix + path]):
                yield from self._walk(f"{path}/{name}", prefix, matcher)

    def drop(self, matcher: Matcher) -> None:
        """Leave out what *matcher* excludes."""
        kept = Listing()
        for path, _, member in self.walk("", None):
            above = stat.S_ISDIR(member.mode) and not matcher.prunes(path)
            if above or not matcher.excludes(path):
                kept.put(path, member)
        self.members, self._names = kept.members, kept._names

    def put(self, path: str, member: Listed) -> bool:
        """Add a member and the directories above it; False if that is not plain."""
        found = self.members.get(path)
        if found is not None:
            if not stat.S_ISDIR(found.mode) or not stat.S_ISDIR(member.mode):
                return False
            found.mode = member.mode
            return True
        parent, _, name = path.rpartition("/")
        if parent not in self._names and (
            parent in self.members or not self.put(parent, Listed(_IMPLIED))
        ):
            return False
        self.members[path] = member
        self._names[parent].add(name)
        if stat.S_ISDIR(member.mode):
            self._names[path] = set()
        return True


def read(chunks: Iterator[bytes], limits: Limits) -> Listing | None:
    """Read a plain archive to its end; None if it is not plain enough for a listing.

    Raises: InvalidParameter (no archive, or over the limits).
    """
    listing: Listing | None = Listing()
    reader = TarReader(chunks)
    stored = 0
    for entries, entry in enumerate(reader, 1):
        stored += entry.stored
        limits.check(stored, entries)
        if listing is not None and not _add(listing, entry, reader):
            listing = None
    return listing


def _add(listing: Listing, entry: Entry, reader: TarReader) -> bool:
    kind = _KINDS.get(entry.kind)
    attributes = [key for key in entry.xattrs or () if not key.startswith(IGNORED_XATTRS)]
    if kind is None or entry.sparse is not None or attributes or len(listing.members) >= _ENTRIES:
        return False
    name = clean(entry.name)
    encoded = name.encode("utf-8", "surrogateescape")
    if len(encoded) > _PATH or any(len(part) > _NAME for part in encoded.split(b"/")):
        return False
    if not name:
        return entry.kind == kinds.DIRECTORY
    member = Listed(kind | entry.mode, link=entry.link)
    if entry.kind == kinds.REGULAR:
        member.size, member.offset = entry.size, reader.position
        state = hashlib.sha256()
        reader.content(state.update)
        member.digest = state.digest()
    elif entry.kind == kinds.SYMLINK and (not entry.link or "\0" in entry.link):
        return False
    return listing.put(name, member)
