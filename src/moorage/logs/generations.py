"""The files of one log: ``path``, and what rotation has made of its predecessors.

A file keeps the time of its last write through renaming and compression (the writer sees to
that), so that time tells which files a reader has seen.
"""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any, BinaryIO, Final, cast

from isal import igzip
from msgspec import Struct

from moorage.logs.codec import Codec

_TAIL_BLOCK: Final = 1 << 16
_ATTEMPTS: Final = 50  # at a snapshot, while the log is being rotated


class Generation(Struct, frozen=True):
    """One file of a log, as it was found."""

    path: Path
    modified_ns: int
    inode: int
    compressed: bool


class Opened(Struct, frozen=True):
    """A generation that is held open: rotation cannot take it away any more."""

    generation: Generation
    raw: BinaryIO
    file: BinaryIO  # the same, decompressed

    def modified_ns(self) -> int:
        """Return when it was last written."""
        return os.fstat(self.raw.fileno()).st_mtime_ns


def find(path: Path) -> list[Generation]:
    """Return the files, oldest first; the last is the one written to now."""
    pattern = re.compile(re.escape(path.name) + r"\.(\d+)(\.gz)?\Z")
    numbered: dict[int, Generation] = {}
    for entry in path.parent.iterdir():
        found = pattern.match(entry.name)
        if found is None:
            continue
        number, compressed = int(found[1]), bool(found[2])
        if number not in numbered or not compressed:  # plain until the compressed one is whole
            generation = _generation(entry, compressed=compressed)
            if generation is not None:
                numbered[number] = generation
    ordered = [numbered[number] for number in sorted(numbered, reverse=True)]
    current = _generation(path, compressed=False)
    return ordered if current is None else [*ordered, current]


def _generation(path: Path, *, compressed: bool) -> Generation | None:
    try:
        status = path.stat()
    except FileNotFoundError:
        return None
    return Generation(path, status.st_mtime_ns, status.st_ino, compressed)


class Mark(Struct, frozen=True):
    """How far a reader has come: the last file read to its end."""

    modified_ns: int = -1
    inode: int = 0

    def unread(self, files: list[Generation]) -> list[Generation]:
        """Return those of *files* that come after the mark.

        By the file itself while it is there under some name; once it is compressed, by time: two
        rotations within one tick of the clock are not told apart then, but for the newest file.
        """
        for position, generation in enumerate(files):
            if generation.inode == self.inode and not generation.compressed:
                return files[position + 1 :]
        return [
            generation
            for position, generation in enumerate(files)
            if generation.modified_ns > self.modified_ns or position == len(files) - 1
        ]


def open_unread(path: Path, mark: Mark) -> list[Opened]:
    """Open what comes after *mark*, oldest first: a snapshot, though files move meanwhile.

    Blocking.
    """
    for _ in range(_ATTEMPTS - 1):
        before = find(path)
        opened = _open_all(mark.unread(before))
        if opened is not None:
            if [g.inode for g in find(path)] == [g.inode for g in before]:
                return opened
            close_all(opened)
    return _open_all(mark.unread(find(path))) or []


def _open_all(files: list[Generation]) -> list[Opened] | None:
    """Open *files*; None if one of them is not what it was."""
    opened: list[Opened] = []
    for generation in files:
        try:
            raw = generation.path.open("rb")
        except FileNotFoundError:
            close_all(opened)
            return None
        if os.fstat(raw.fileno()).st_ino != generation.inode:
            raw.close()
            close_all(opened)
            return None
        file = _decompressed(raw) if generation.compressed else raw
        opened.append(Opened(generation, raw, file))
    return opened


def _decompressed(raw: BinaryIO) -> BinaryIO:
    return cast("BinaryIO", igzip.open(raw, "rb"))  # type: ignore[no-untyped-call]


def close_all(opened: list[Opened]) -> None:
    """Close all of *opened*."""
    for each in opened:
        each.file.close()
        each.raw.close()


def begin_of_tail(opened: list[Opened], codec: Codec[Any], count: int) -> tuple[int, int]:
    """Return (number of the first file that holds the last *count* records, where they begin).

    Blocking. A file is read from its end, no further than needed.
    """
    last = len(opened) - 1
    if count == 0:
        return last, opened[last].file.seek(0, os.SEEK_END)
    for position in range(last, -1, -1):
        begin, found = _tail_of(opened[position], codec, count)
        if found >= count:
            return position, begin
        count -= found
    return 0, 0


def _tail_of(opened: Opened, codec: Codec[Any], count: int) -> tuple[int, int]:
    file = opened.file  # a compressed one is read anew for each step back, but never held whole
    size = file.seek(0, os.SEEK_END)
    block = _TAIL_BLOCK
    while True:
        start = max(0, size - block)
        file.seek(start)
        at, found = codec.tail(file.read(size - start), count)
        if start == 0 or (found >= count and at > 0):
            return start + at, found
        block *= 4
