"""The 512-byte header of a tar member (POSIX ustar, with GNU's ways) and its extended records."""

from __future__ import annotations

import struct
from collections.abc import Iterator, Mapping
from typing import Final

from moorage.lib.errors import InvalidParameter
from moorage.storage.archive.entry import Entry

BLOCK: Final = 512
ZEROS: Final = bytes(BLOCK)
XATTR_PREFIX: Final = "SCHILY.xattr."

_FIELDS: Final = struct.Struct("100s8s8s8s12s12s8sc100s8s32s32s8s8s155s12s")
_MAGIC_USTAR: Final = b"ustar\x0000"
_MAGIC_GNU: Final = b"ustar  \0"
_OCTAL_7: Final = 0o7777777
_OCTAL_11: Final = 0o77777777777


def checksum(block: bytes) -> int:
    """Return the sum of the header with its checksum field taken as blanks."""
    return sum(block) - sum(block[148:156]) + 256


def parse(block: bytes) -> tuple[Entry, bytes]:
    """Parse a header block; return the member and the raw kind byte.

    Raises: InvalidParameter, if the checksum or a number is wrong.
    """
    (
        name,
        mode,
        uid,
        gid,
        size,
        mtime,
        check,
        kind,
        link,
        magic,
        user,
        group,
        major,
        minor,
        prefix,
        _,
    ) = _FIELDS.unpack(block)
    if number(check) != checksum(block):
        raise InvalidParameter("archive/tar: invalid tar header: the checksum is wrong")
    full = text(name)
    if magic == _MAGIC_USTAR and prefix[0]:
        full = f"{text(prefix)}/{full}"
    length = number(size)
    if length < 0:
        raise InvalidParameter("archive/tar: invalid tar header: a member of negative size")
    entry = Entry(
        full,
        kind.decode("latin-1"),
        number(mode) & 0o7777,
        number(uid),
        number(gid),
        length,
        length,
        number(mtime) * 1_000_000_000,
        text(link) if link[0] else "",
        number(major) if major[0] else 0,
        number(minor) if minor[0] else 0,
        text(user) if user[0] else "",
        text(group) if group[0] else "",
    )
    if kind in {b"\0", b"7"}:
        entry.kind = "0"
    return entry, kind


def text(field: bytes) -> str:
    """Return a zero-terminated field; bytes that are no UTF-8 survive a round trip."""
    return field.partition(b"\0")[0].decode("utf-8", "surrogateescape")


def number(field: bytes) -> int:
    """Return an octal or base-256 field. Raises: InvalidParameter."""
    if field[0] & 0x80:
        value = int.from_bytes(field, "big", signed=False)
        bits = 8 * len(field)
        if field[0] & 0x40:  # negative, two's complement
            return value - (1 << bits)
        return value & ~(0x80 << (bits - 8))
    try:
        return int(field.strip(b" \0") or b"0", 8)
    except ValueError as error:
        shown = field.decode("latin-1")
        raise InvalidParameter(f"archive/tar: invalid tar header: number {shown!r}") from error


def parse_records(data: bytes) -> dict[str, bytes]:
    """Parse the records of a PAX extended header; the last of a key counts.

    Raises: InvalidParameter.
    """
    return dict(each_record(data))


def each_record(data: bytes) -> Iterator[tuple[str, bytes]]:
    """Yield the records of a PAX extended header: length, blank, key=value, newline.

    Raises: InvalidParameter.
    """
    at = 0
    while at < len(data):
        space = data.find(b" ", at, at + 20)
        if space < 0 or not data[at:space].isdigit():
            raise InvalidParameter("archive/tar: invalid tar header: broken PAX record")
        end = at + int(data[at:space])
        key, equals, value = data[space + 1 : end - 1].partition(b"=")
        if end > len(data) or end <= space or data[end - 1 : end] != b"\n" or not equals:
            raise InvalidParameter("archive/tar: invalid tar header: broken PAX record")
        yield key.decode("utf-8", "surrogateescape"), value
        at = end


def format_records(records: dict[str, bytes]) -> bytes:
    """Format PAX records in order of their keys, so that equal input gives equal bytes."""
    out = []
    for key in sorted(records):
        body = b" " + key.encode("utf-8", "surrogateescape") + b"=" + records[key] + b"\n"
        length = len(body) + 1
        while len(str(length)) + len(body) != length:
            length = len(str(length)) + len(body)
        out.append(str(length).encode() + body)
    return b"".join(out)


def format_entry(entry: Entry, further: Mapping[str, bytes] | None = None) -> bytes:
    """Format the header of *entry* as Go does: ustar, with PAX records only where needed.

    *further* records are written in any case.
    """
    records: dict[str, bytes] = dict(further or {})
    name = _encode(entry.name)
    prefix = b""
    if len(name) > 100 or not name.isascii():
        split = _split_name(name) if name.isascii() else None
        if split is None:
            records["path"] = name
            name = name[:100]
        else:
            prefix, name = split
    link = _encode(entry.link)
    if len(link) > 100 or not link.isascii():
        records["linkpath"] = link
        link = link[:100]
    seconds, nanoseconds = divmod(entry.mtime_ns, 1_000_000_000)
    if nanoseconds or not 0 <= seconds <= _OCTAL_11:
        records["mtime"] = _decimal(entry.mtime_ns).encode()
    for key, value, limit in (
        ("uid", entry.uid, _OCTAL_7),
        ("gid", entry.gid, _OCTAL_7),
        ("size", entry.size, _OCTAL_11),
    ):
        if value > limit:
            records[key] = str(value).encode()
    for key, value_bytes in (entry.xattrs or {}).items():
        records[XATTR_PREFIX + key] = value_bytes
    main = _block(entry, name, link, prefix)
    if not records:
        return main
    body = format_records(records)
    base = entry.name.rstrip("/").rpartition("/")[2] or "root"
    extra = Entry(name=f"PaxHeaders.0/{base}", kind="x", mode=0, size=len(body))
    encoded = _encode(extra.name)[:100].decode("ascii", "ignore").encode()
    return _block(extra, encoded, b"", b"") + body + bytes(-len(body) % BLOCK) + main


def _block(entry: Entry, name: bytes, link: bytes, prefix: bytes) -> bytes:
    seconds = entry.mtime_ns // 1_000_000_000
    block = _FIELDS.pack(
        name,
        b"%07o\0" % (entry.mode & 0o7777),
        b"%07o\0" % (entry.uid if entry.uid <= _OCTAL_7 else 0),
        b"%07o\0" % (entry.gid if entry.gid <= _OCTAL_7 else 0),
        b"%011o\0" % (entry.size if entry.size <= _OCTAL_11 else 0),
        b"%011o\0" % (seconds if 0 <= seconds <= _OCTAL_11 else 0),
        b" " * 8,
        entry.kind.encode("latin-1"),
        link,
        _MAGIC_USTAR,
        _encode(entry.user)[:31],
        _encode(entry.group)[:31],
        b"%07o\0" % entry.major,
        b"%07o\0" % entry.minor,
        prefix,
        b"",
    )
    return block[:148] + b"%06o\0 " % sum(block) + block[156:]


def _encode(value: str) -> bytes:
    return value.encode("utf-8", "surrogateescape")


def _split_name(name: bytes) -> tuple[bytes, bytes] | None:
    """Divide a long name into ustar's prefix and name, at the last slash that suits."""
    cut = name.rfind(b"/", 0, 156) if len(name) > 156 else name.rfind(b"/", 0, len(name) - 1)
    if cut <= 0 or len(name) - cut - 1 > 100 or len(name) - cut - 1 == 0:
        return None
    return name[:cut], name[cut + 1 :]


def _decimal(ns: int) -> str:
    sign, rest = ("-", -ns) if ns < 0 else ("", ns)
    whole, fraction = divmod(rest, 1_000_000_000)
    return f"{sign}{whole}" + (f".{fraction:09d}".rstrip("0") if fraction else "")
