"""Reading tar: ustar, GNU (long names, old sparse) and PAX (xattrs, all sparse forms), streaming.

Nothing here touches a file system. Every length that an archive names is bounded before memory
is given to it.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from typing import Final, Protocol

from moorage.lib.errors import InvalidParameter
from moorage.storage.archive import header
from moorage.storage.archive.chunks import ChunkReader
from moorage.storage.archive.entry import DIRECTORY, REGULAR, Entry
from moorage.storage.archive.header import BLOCK, XATTR_PREFIX, ZEROS

EXTENDED_LIMIT: Final = 1 << 20  # bytes of one PAX header or long name, as Go's limit
XATTR_LIMIT: Final = 64 << 10  # bytes of one attribute: the kernel's own limit
SPARSE_LIMIT: Final = 1 << 18  # segments of one file
_MAP_LINE: Final = 20  # bytes: the longest number and its end
_WITHOUT_CONTENT: Final = frozenset("123456")
_TEXTS: Final = {"path": "name", "linkpath": "link", "uname": "user", "gname": "group"}
_SIZE_LIMIT: Final = 1 << 62
_PADDING_LIMIT: Final = 64 << 20  # bytes behind the end marker


class Recorder(Protocol):
    """Somebody who wants to write the very same archive again."""

    def raw(self, data: bytes | memoryview) -> None:
        """Note bytes that are no file content."""

    def content(self, name: str, size: int) -> None:
        """Note that the whole content of the file *name* comes here."""


class TarReader:
    """The members of an archive, in order.

    Each member's content is read by ``content`` before the next member is asked for; what is left
    of it is skipped. A caller of ``content(sink, replayable=True)`` promises to be able to give
    those bytes again under the member's name, so that a recorder need not keep them.
    """

    def __init__(self, chunks: Iterator[bytes], recorder: Recorder | None = None) -> None:
        self._stream = ChunkReader(chunks)
        self._recorder = recorder
        self._left = 0  # content of the current member not yet read
        self._padding = 0
        self._entry: Entry | None = None

    @property
    def position(self) -> int:
        """Bytes of the archive read so far."""
        return self._stream.position

    def __iter__(self) -> Iterator[Entry]:
        """Return the members; at the end everything behind the end marker has been read."""
        extended: dict[str, bytes] = {}
        while (block := self._next_header()) is not None:
            entry, kind = header.parse(block)
            if kind in b"xgLK":
                self._extended(kind, entry, extended)
                continue
            segments = self._old_sparse(block, entry) if kind == b"S" else None
            if extended:
                _apply(entry, extended)
            if entry.kind == REGULAR and entry.name.endswith("/"):
                entry.kind = DIRECTORY  # as old tars write them; a cut name may end so, too
            if entry.kind in _WITHOUT_CONTENT:
                entry.size = entry.stored = 0  # whatever the header claims, as Go reads it
            if entry.stored > _SIZE_LIMIT or entry.size > _SIZE_LIMIT:
                raise InvalidParameter(f"invalid archive: {entry.name!r} has an impossible size")
            self._left = entry.stored
            self._padding = -entry.stored % BLOCK
            self._entry = entry
            if segments is not None:
                entry.kind, entry.sparse = REGULAR, segments
            elif extended:
                self._pax_sparse(entry, extended)
            extended = {}
            _check_sparse(entry)
            yield entry
        self._finish()

    def content(self, sink: Callable[[memoryview], object], *, replayable: bool = False) -> None:
        """Hand the stored bytes of the current member to *sink*.

        Raises: InvalidParameter, if the archive is truncated.
        """
        count, self._left = self._left, 0
        if self._recorder is None:
            self._stream.forward(count, sink)
        elif replayable and self._entry is not None:
            self._recorder.content(self._entry.name, count)
            self._stream.forward(count, sink)
        else:
            self._stream.forward(count, functools.partial(_both, self._recorder.raw, sink))

    def read(self, limit: int) -> bytes:
        """Return the content of the current member. Raises: InvalidParameter, if over *limit*."""
        if self._left > limit:
            name = self._entry.name if self._entry else ""
            raise InvalidParameter(
                f"invalid archive: {name!r} has {self._left} bytes, more than the {limit} allowed"
            )
        parts: list[bytes] = []
        self.content(lambda part: parts.append(bytes(part)))
        return b"".join(parts)

    def pieces(self) -> Iterator[bytes]:
        """Return the content of the current member in pieces, without a recorder."""
        while self._left:
            piece = self._stream.take(min(self._left, BLOCK * 2048))
            if not piece:
                raise InvalidParameter("unexpected EOF: the archive is truncated")
            self._left -= len(piece)
            yield piece

    def _next_header(self) -> bytes | None:
        """Pass over what is left of the member; return the next header, None at the end."""
        self._skip_rest()
        block = self._stream.take(BLOCK)
        if not block:
            return None  # no end marker: GNU tar and Go take that too
        if len(block) < BLOCK:
            raise InvalidParameter("unexpected EOF: the archive is truncated")
        self._record(block)
        if block != ZEROS:
            return block
        second = self._stream.take(BLOCK)
        self._record(second)
        if second not in {ZEROS, b""}:
            raise InvalidParameter("archive/tar: invalid tar header: a lone block of zeros")
        return None

    def _skip_rest(self) -> None:
        if self._left:
            self.content(len)
        if self._padding:
            padding, self._padding = self._stream.take(self._padding), 0
            self._record(padding)

    def _finish(self) -> None:
        behind = 0
        for piece in self._stream.rest():
            behind += len(piece)
            if self._recorder is not None and behind > _PADDING_LIMIT:
                raise InvalidParameter("invalid archive: too many bytes behind its end")
            self._record(piece)

    def _record(self, data: bytes | memoryview) -> None:
        if self._recorder is not None:
            self._recorder.raw(data)

    def _extended(self, kind: bytes, entry: Entry, extended: dict[str, bytes]) -> None:
        """Read an extended header; global ones ('g') are passed over, as Go does."""
        if entry.stored > EXTENDED_LIMIT:
            raise InvalidParameter("archive/tar: an extended header of more than 1 MiB")
        data = self._stream.take(entry.stored)
        padding = self._stream.take(-entry.stored % BLOCK)
        if len(data) < entry.stored:
            raise InvalidParameter("unexpected EOF: the archive is truncated")
        self._record(data)
        self._record(padding)
        if kind == b"x":
            records = header.parse_records(data)
            extended.update(_sparse_map_00(data) if "GNU.sparse.offset" in records else {})
            extended.update(records)
        elif kind == b"L":
            extended["path"] = data.partition(b"\0")[0]
        elif kind == b"K":
            extended["linkpath"] = data.partition(b"\0")[0]

    def _old_sparse(self, block: bytes, entry: Entry) -> list[tuple[int, int]]:
        segments = _segments(block[386:482])
        more = block[482]
        while more:
            extra = self._stream.take(BLOCK)
            if len(extra) < BLOCK:
                raise InvalidParameter("unexpected EOF: the archive is truncated")
            self._record(extra)
            segments += _segments(extra[:504])
            more = extra[504]
            if len(segments) > SPARSE_LIMIT:
                raise InvalidParameter("invalid archive: too many pieces in a sparse file")
        entry.size = header.number(block[483:495])
        return segments

    def _pax_sparse(self, entry: Entry, extended: dict[str, bytes]) -> None:
        if "GNU.sparse.map" in extended:  # 0.1 and, collected, 0.0
            numbers = [_number(n) for n in extended["GNU.sparse.map"].split(b",") if n]
            entry.sparse = _pairs(numbers)
        elif extended.get("GNU.sparse.major") == b"1":
            entry.sparse = self._sparse_map_10()
        else:
            return
        entry.size = _number(
            extended.get("GNU.sparse.realsize") or extended.get("GNU.sparse.size") or b"0"
        )
        if "GNU.sparse.name" in extended:
            entry.name = extended["GNU.sparse.name"].decode("utf-8", "surrogateescape")

    def _sparse_map_10(self) -> list[tuple[int, int]]:
        """Read the map that stands before the content, in blocks of decimal lines."""
        data = bytearray()
        wanted, lines = 1, 0
        while lines < wanted:
            block = self._stream.take(BLOCK)
            if len(block) < BLOCK or self._left < BLOCK:
                raise InvalidParameter("invalid archive: broken map of a sparse file")
            self._record(block)
            self._left -= BLOCK
            if not data:
                wanted += 2 * _number(block.partition(b"\n")[0])
                if wanted > 2 * SPARSE_LIMIT:
                    raise InvalidParameter("invalid archive: too many pieces in a sparse file")
            data += block
            lines += block.count(b"\n")
            if len(data) > BLOCK + wanted * _MAP_LINE:
                raise InvalidParameter("invalid archive: broken map of a sparse file")
        if self._entry is not None:
            self._entry.stored = self._left
        return _pairs([_number(bytes(line)) for line in data.split(b"\n")[1:wanted]])


def _both(
    first: Callable[[memoryview], object], second: Callable[[memoryview], object], part: memoryview
) -> None:
    first(part)
    second(part)


def _number(digits: bytes) -> int:
    if not digits.isdigit() or len(digits) > 19:
        raise InvalidParameter(f"archive/tar: invalid tar header: number {digits[:20]!r}")
    return int(digits)


def _pairs(numbers: list[int]) -> list[tuple[int, int]]:
    if len(numbers) % 2 or len(numbers) > 2 * SPARSE_LIMIT:
        raise InvalidParameter("invalid archive: broken map of a sparse file")
    return list(zip(numbers[::2], numbers[1::2], strict=True))


def _segments(fields: bytes) -> list[tuple[int, int]]:
    found = []
    for at in range(0, len(fields), 24):
        if fields[at] == 0:
            break
        found.append(
            (header.number(fields[at : at + 12]), header.number(fields[at + 12 : at + 24]))
        )
    return found


def _sparse_map_00(data: bytes) -> dict[str, bytes]:
    """Collect the repeated records of GNU sparse format 0.0 into the one of 0.1."""
    wanted = {"GNU.sparse.offset", "GNU.sparse.numbytes"}
    numbers = [value for key, value in header.each_record(data) if key in wanted]
    return {"GNU.sparse.map": b",".join(numbers)}


def _check_sparse(entry: Entry) -> None:
    """Refuse a map that overlaps, runs backwards or does not fit. Raises: InvalidParameter."""
    if entry.sparse is None:
        return
    end = stored = 0
    for offset, length in entry.sparse:
        if offset < end or length < 0:
            raise InvalidParameter("invalid archive: broken map of a sparse file")
        end, stored = offset + length, stored + length
    if end > entry.size or stored != entry.stored:
        raise InvalidParameter("invalid archive: broken map of a sparse file")


def _apply(entry: Entry, records: dict[str, bytes]) -> None:
    """Overlay the PAX *records* on the header's values."""
    for key, value in records.items():
        if (text_field := _TEXTS.get(key)) is not None:
            setattr(entry, text_field, value.decode("utf-8", "surrogateescape"))
        elif key == "size":
            entry.size = entry.stored = _number(value)
        elif key in {"uid", "gid"}:
            setattr(entry, key, _number(value))
        elif key == "mtime":
            entry.mtime_ns = _time(value)
        elif key.startswith(XATTR_PREFIX):
            if len(value) > XATTR_LIMIT:
                raise InvalidParameter(f"invalid archive: an attribute of {entry.name!r} is huge")
            if entry.xattrs is None:
                entry.xattrs = {}
            entry.xattrs[key.removeprefix(XATTR_PREFIX)] = value


def _time(value: bytes) -> int:
    sign = -1 if value.startswith(b"-") else 1
    whole, _, fraction = value.lstrip(b"-").partition(b".")
    if not whole.isdigit() or (fraction and not fraction.isdigit()) or len(whole) > 12:
        raise InvalidParameter(f"archive/tar: invalid tar header: time {value[:30]!r}")
    return sign * (int(whole) * 1_000_000_000 + int(fraction[:9].ljust(9, b"0") or b"0"))
