"""A tar archive from a stream: ustar, PAX and GNU's long names, nothing sought, nothing trusted."""

from __future__ import annotations

from moorage.cli.copying.tarheader import BLOCK, Member
from moorage.cli.failure import CommandError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

_CHUNK = 1 << 20
_LONGEST_RECORDS = 1 << 20
_OLD_FILES = (b"\0", b"7")  # kinds that are files too


class TarReader:
    """The members of an archive, in their order."""

    def __init__(self, chunks: Iterator[bytes]) -> None:
        self._chunks = chunks
        self._waiting = b""
        self._left = 0  # bytes of the current member's content that were not read
        self._padding = 0
        self._global: dict[bytes, bytes] = {}

    def __iter__(self) -> Iterator[Member]:
        """Yield every member; its content is read by then, or passed over.

        Raises: CommandError (what is no archive, or ends in the middle).
        """
        while (member := self._next()) is not None:
            yield member

    def content(self) -> Iterator[bytes]:
        """Yield the current member's content.

        Raises: CommandError.
        """
        while self._left:
            piece = self._some(min(self._left, _CHUNK))
            self._left -= len(piece)
            yield piece

    def _next(self) -> Member | None:
        records: dict[bytes, bytes] = {}
        long_name = long_link = b""
        while True:
            block = self._header()
            if block is None:
                return None
            member = _member(block)
            if member.kind == b"x":
                records = _records(self._whole(member.size))
            elif member.kind == b"g":
                self._global |= _records(self._whole(member.size))
            elif member.kind == b"L":
                long_name = self._whole(member.size).split(b"\0")[0]
            elif member.kind == b"K":
                long_link = self._whole(member.size).split(b"\0")[0]
            else:
                break
        member.name, member.link = long_name or member.name, long_link or member.link
        _apply(member, self._global | records)
        if member.kind != b"0":
            member.size = 0
        self._left, self._padding = member.size, -member.size % BLOCK
        return member

    def _header(self) -> bytes | None:
        """Return the next header; None at the end of the archive."""
        for _ in self.content():
            pass
        self._exactly(self._padding)
        self._padding = 0
        block = self._exactly(BLOCK, or_end=True)
        if not block.strip(b"\0"):
            for _ in self._chunks:
                pass
            return None
        return block

    def _whole(self, size: int) -> bytes:
        if size > _LONGEST_RECORDS:
            raise CommandError("the archive is damaged: an endless header")
        return self._exactly(size + -size % BLOCK)[:size]

    def _exactly(self, size: int, *, or_end: bool = False) -> bytes:
        parts = b""
        while len(parts) < size:
            if or_end and not parts and not self._fill():
                return b""
            parts += self._some(size - len(parts))
        return parts

    def _some(self, limit: int) -> bytes:
        if not self._fill():
            raise CommandError("the archive is damaged: it ends in the middle of a file")
        piece, self._waiting = self._waiting[:limit], self._waiting[limit:]
        return piece

    def _fill(self) -> bool:
        while not self._waiting:
            chunk = next(self._chunks, None)
            if chunk is None:
                return False
            self._waiting = chunk
        return True


def _member(block: bytes) -> Member:
    try:
        given = _number(block[148:156])
        if given != sum(block[:148]) + 8 * 32 + sum(block[156:]):
            raise CommandError("the archive is damaged: a header's checksum is wrong")
        kind = block[156:157]
        member = Member(_text(block[:100]), kind, _number(block[100:108]) & 0o7777)
        member.uid, member.gid = _number(block[108:116]), _number(block[116:124])
        member.size = _number(block[124:136])
        member.mtime_ns = _number(block[136:148]) * 1_000_000_000
        member.link = _text(block[157:257])
    except ValueError as e:
        raise CommandError("the archive is damaged: a header that is none") from e
    if member.size < 0:
        raise CommandError("the archive is damaged: a size below zero")
    if block[257:263] == b"ustar\0" and (prefix := _text(block[345:500])):
        member.name = prefix + b"/" + member.name
    if kind in _OLD_FILES:
        member.kind = b"5" if member.name.endswith(b"/") else b"0"
    return member


def _apply(member: Member, records: dict[bytes, bytes]) -> None:
    member.records = records
    try:
        member.name = records.get(b"path", member.name)
        member.link = records.get(b"linkpath", member.link)
        member.size = int(records.get(b"size", member.size))
        member.uid = int(records.get(b"uid", member.uid))
        member.gid = int(records.get(b"gid", member.gid))
        if b"mtime" in records:
            member.mtime_ns = _nanoseconds(records[b"mtime"])
    except ValueError as e:
        raise CommandError("the archive is damaged: a record that is no number") from e
    if member.size < 0:
        raise CommandError("the archive is damaged: a size below zero")


def _records(body: bytes) -> dict[bytes, bytes]:
    """Take ``LENGTH KEY=VALUE`` lines apart."""
    found: dict[bytes, bytes] = {}
    while body:
        digits, space, _ = body[:21].partition(b" ")
        length = int(digits) if digits.isdigit() else 0
        record = body[len(digits) + 1 : length]
        key, equals, value = record.partition(b"=")
        if not space or not equals or not value.endswith(b"\n") or length > len(body):
            raise CommandError("the archive is damaged: an extended header that is none")
        found[key] = value[:-1]
        body = body[length:]
    return found


def _number(field: bytes) -> int:
    """Read octal digits, or GNU's binary form for what is too large for them."""
    if field[0] & 0x80:
        bits = 8 * len(field)
        value = int.from_bytes(field, "big") & ((1 << (bits - 1)) - 1)
        return value - (1 << (bits - 1)) if field[0] & 0x40 else value
    return int(field.strip(b" \0") or b"0", 8)


def _text(field: bytes) -> bytes:
    return field.partition(b"\0")[0]


def _nanoseconds(text: bytes) -> int:
    sign = -1 if text.startswith(b"-") else 1
    seconds, _, fraction = text.lstrip(b"-").partition(b".")
    return sign * (int(seconds or b"0") * 1_000_000_000 + int(fraction[:9].ljust(9, b"0")))
