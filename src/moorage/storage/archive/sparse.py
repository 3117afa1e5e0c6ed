"""Files with holes in an archive: only what is written, and where (PAX sparse format 1.0).

GNU tar, Go and bsdtar read it. The content of the member begins with the map: lines of decimal
numbers, their count first, then offset and length of each piece; filled up to a whole block.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from typing import Final

from moorage.storage.archive.chunks import CHUNK
from moorage.storage.archive.entry import Entry
from moorage.storage.archive.header import BLOCK, format_entry
from moorage.storage.archive.reader import SPARSE_LIMIT

Segments = list[tuple[int, int]]
_NAME: Final = "GNUSparseFile.0"  # what those who do not know of it unpack to


def is_sparse(found: os.stat_result) -> bool:
    """Whether a file has fewer blocks than its size needs."""
    return found.st_blocks * 512 < found.st_size


def segments(fd: int, size: int) -> Segments | None:
    """Return offset and length of what is written of a file, up to *size*.

    None: the file system cannot tell, or there are too many pieces to be worth it.
    """
    found: Segments = []
    at = 0
    while at < size:
        try:
            start = os.lseek(fd, at, os.SEEK_DATA)
            at = min(os.lseek(fd, start, os.SEEK_HOLE), size)
        except OSError as error:
            if error.errno == errno.ENXIO:  # nothing but a hole from here on
                break
            return None
        if start >= size:
            break
        found.append((start, at - start))
        if len(found) >= SPARSE_LIMIT:
            return None
    return found


def member(fd: int, entry: Entry, pieces: Segments) -> Iterator[bytes]:
    """Return header, map and content of a file that *pieces* are written of."""
    size = entry.size
    numbers = [number for piece in (*pieces, (size, 0)) for number in piece]
    table = b"".join(b"%d\n" % number for number in (len(numbers) // 2, *numbers))
    table += bytes(-len(table) % BLOCK)
    stored = sum(length for _, length in pieces)
    directory, slash, last = entry.name.rpartition("/")
    records = {
        "GNU.sparse.major": b"1",
        "GNU.sparse.minor": b"0",
        "GNU.sparse.name": entry.name.encode("utf-8", "surrogateescape"),
        "GNU.sparse.realsize": b"%d" % size,
    }
    entry.name = f"{directory}{slash}{_NAME}/{last}"
    entry.size = len(table) + stored
    yield format_entry(entry, records)
    yield table
    for offset, length in pieces:
        yield from _read(fd, offset, length)
    yield bytes(-stored % BLOCK)


def _read(fd: int, offset: int, left: int) -> Iterator[bytes]:
    while left:
        piece = os.pread(fd, min(left, CHUNK), offset) or bytes(min(left, CHUNK))  # cut meanwhile
        offset, left = offset + len(piece), left - len(piece)
        yield piece
