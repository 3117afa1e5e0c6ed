"""A recipe writes an unpacked archive again, bit by bit, without keeping its files twice.

It holds everything of a tar but the contents of its files (headers, padding, extended records,
sparse maps), zstd-compressed, and where each file's content goes. The digest is checked at the
end: a layer that was tampered with is found out.

::

    record = "R" length:u32 bytes                    raw bytes of the archive
           | "F" length:u32 name  size:u64           the content of the file *name*
"""

from __future__ import annotations

import hashlib
import os
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, Final, cast

import zstandard
from msgspec import Struct

from moorage.kernel.openat2 import openat2
from moorage.lib.errors import DataLoss
from moorage.spec import digest as digests
from moorage.spec.digest import Digest
from moorage.storage.archive.chunks import CHUNK
from moorage.storage.archive.entry import clean

_RAW: Final = struct.Struct("<cI")
_SIZE: Final = struct.Struct("<Q")
_BUFFER: Final = 256 << 10


class Shelter(Struct, frozen=True):
    """A file or tree that a later member replaced, and where it was put aside.

    Members before number *before* whose name is *name* or below it are at *place* instead.
    """

    before: int
    name: str
    place: str


class RecipeWriter:
    """Notes an archive while it is read (a ``reader.Recorder``)."""

    def __init__(self, path: Path) -> None:
        self._file = path.open("wb")
        self._out = zstandard.ZstdCompressor(level=1).stream_writer(self._file)
        self._pending = bytearray()
        self._raw = bytearray()
        self.contents = 0  # files noted so far

    def raw(self, data: bytes | memoryview) -> None:
        """Note *data*."""
        self._raw += data
        if len(self._raw) > _BUFFER:
            self._end_raw()

    def content(self, name: str, size: int) -> None:
        """Note the content of *name*."""
        self._end_raw()
        self.contents += 1
        encoded = name.encode("utf-8", "surrogateescape")
        self._pending += _RAW.pack(b"F", len(encoded)) + encoded + _SIZE.pack(size)

    def close(self) -> None:
        """Write what is left."""
        self._end_raw()
        self._flush()
        self._out.flush(zstandard.FLUSH_FRAME)
        self._file.close()

    def abort(self) -> None:
        """Close without writing what is left; safe after ``close``."""
        self._file.close()

    def _end_raw(self) -> None:
        if self._raw:
            self._pending += _RAW.pack(b"R", len(self._raw)) + self._raw
            self._raw.clear()
        if len(self._pending) > _BUFFER:
            self._flush()

    def _flush(self) -> None:
        self._out.write(bytes(self._pending))
        self._pending.clear()


def replay(recipe: Path, tree: Path, shelters: list[Shelter], expected: Digest) -> Iterator[bytes]:
    """Return the archive in chunks; *shelters* are below ``tree``'s parent.

    Raises: DataLoss, at the latest at the end, if the bytes are not those of *expected*.
    """
    hasher = hashlib.new(digests.algorithm_of(expected))
    root = os.open(tree, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    aside = os.open(tree.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    buffer = bytearray()
    try:
        for piece in _pieces(recipe, root, aside, shelters, expected):
            if buffer and (len(piece) >= CHUNK // 2 or len(buffer) + len(piece) > CHUNK):
                hasher.update(buffer)
                yield bytes(buffer)
                buffer.clear()
            if len(piece) >= CHUNK // 2:
                hasher.update(piece)
                yield piece
            else:
                buffer += piece
        hasher.update(buffer)
        if hasher.hexdigest() != digests.hex_of(expected):
            raise DataLoss(
                f"layer {expected} is damaged on disk", hint="moord --fsck finds and mends it"
            )
        if buffer:
            yield bytes(buffer)
    finally:
        os.close(root)
        os.close(aside)


def _pieces(
    recipe: Path, root: int, aside: int, shelters: list[Shelter], expected: Digest
) -> Iterator[bytes]:
    number = 0
    with recipe.open("rb") as file:
        source = cast("BinaryIO", zstandard.ZstdDecompressor().stream_reader(file))
        while head := _exactly(source, _RAW.size, may_end=True):
            kind, length = _RAW.unpack(head)
            body = _exactly(source, length)
            if kind == b"R":
                yield body
                continue
            (size,) = _SIZE.unpack(_exactly(source, _SIZE.size))
            if size:
                name = clean(body.decode("utf-8", "surrogateescape"))
                place = _sheltered(name, number, shelters)
                try:
                    yield from _file(aside if place else root, place or name, size)
                except OSError as error:
                    raise DataLoss(f"layer {expected} is damaged on disk: {error}") from error
            number += 1


def _sheltered(name: str, number: int, shelters: list[Shelter]) -> str | None:
    for shelter in shelters:
        if number < shelter.before and (
            name == shelter.name or name.startswith(f"{shelter.name}/")
        ):
            return shelter.place + name[len(shelter.name) :]
    return None


def _file(root: int, name: str, size: int) -> Iterator[bytes]:
    flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK
    fd = openat2(root, name, flags)  # inside the root, as when it was unpacked
    try:
        while size:
            piece = os.read(fd, min(size, CHUNK))
            if not piece:
                raise DataLoss(f"{name} in a layer has become shorter")
            size -= len(piece)
            yield piece
    finally:
        os.close(fd)


def _exactly(source: BinaryIO, count: int, *, may_end: bool = False) -> bytes:
    parts: list[bytes] = []
    missing = count
    while missing:
        try:
            part = source.read(missing)
        except (zstandard.ZstdError, OSError) as error:
            raise DataLoss(f"a layer's recipe is damaged on disk: {error}") from error
        if not part:
            if may_end and not parts:
                return b""
            raise DataLoss("a layer's recipe is damaged on disk")
        parts.append(part)
        missing -= len(part)
    return b"".join(parts)
