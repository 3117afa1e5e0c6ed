"""Headers of tar archives as we write them: ustar, with a PAX record for what does not fit there.

Not ``tarfile``: it loads what takes longer than a whole ``moor cp``.
"""

from __future__ import annotations

BLOCK = 512
END = bytes(2 * BLOCK)
XATTR = b"SCHILY.xattr."

REGULAR, HARD_LINK, SYMLINK, CHARACTER, DEVICE, DIRECTORY, FIFO = (b"%d" % n for n in range(7))

_NAME_BYTES = 100
_OCTAL_7 = 8**7
_OCTAL_11 = 8**11


class Member:
    """What an archive says of one file."""

    __slots__ = (
        *("device", "gid", "kind", "link", "mode", "mtime_ns", "name", "records", "size", "uid"),
    )

    def __init__(self, name: bytes, kind: bytes, mode: int) -> None:
        self.name = name
        self.kind = kind  # as in the header: "0" a file, "5" a directory ...
        self.mode = mode  # permission bits, with set-ID and sticky
        self.uid = self.gid = 0
        self.size = 0  # bytes of content that follow
        self.mtime_ns = 0  # since 1970
        self.link = b""
        self.device = (0, 0)  # major, minor
        self.records: dict[bytes, bytes] = {}  # PAX records, extended attributes among them

    def header(self) -> bytes:
        """Return the header, with an extended one before it where that is needed."""
        records = dict(self.records)
        seconds, rest = divmod(self.mtime_ns, 1_000_000_000)
        if len(self.name) > _NAME_BYTES:
            records[b"path"] = self.name
        if len(self.link) > _NAME_BYTES:
            records[b"linkpath"] = self.link
        for key, number, limit in (
            (b"size", self.size, _OCTAL_11),
            (b"uid", self.uid, _OCTAL_7),
            (b"gid", self.gid, _OCTAL_7),
        ):
            if number >= limit:
                records[key] = b"%d" % number
        if rest or not 0 <= seconds < _OCTAL_11:
            records[b"mtime"] = _decimal(self.mtime_ns)
        block = self._block(seconds)
        if not records:
            return block
        body = b"".join(_record(key, value) for key, value in records.items())
        extended = Member(b"pax", b"x", 0o644)
        extended.size = len(body)
        return extended._block(0) + body + padding(len(body)) + block

    def _block(self, seconds: int) -> bytes:
        def octal(number: int, limit: int) -> int:
            return number if 0 <= number < limit else 0

        block = bytearray(BLOCK)
        name, link = self.name[:_NAME_BYTES], self.link[:_NAME_BYTES]
        block[: len(name)] = name
        block[100:108] = b"%07o\0" % self.mode
        block[108:116] = b"%07o\0" % octal(self.uid, _OCTAL_7)
        block[116:124] = b"%07o\0" % octal(self.gid, _OCTAL_7)
        block[124:136] = b"%011o\0" % octal(self.size, _OCTAL_11)
        block[136:148] = b"%011o\0" % octal(seconds, _OCTAL_11)
        block[148:156] = b" " * 8
        block[156:157] = self.kind
        block[157 : 157 + len(link)] = link
        block[257:265] = b"ustar\x0000"
        if any(self.device):
            block[329:345] = b"%07o\0%07o\0" % self.device
        block[148:156] = b"%06o\0 " % sum(block)
        return bytes(block)


def padding(size: int) -> bytes:
    """Return the zeros between *size* bytes of content and the next header."""
    return bytes(-size % BLOCK)


def _record(key: bytes, value: bytes) -> bytes:
    length = len(key) + len(value) + 3
    total = length + len(str(length))
    total = length + len(str(total))
    return b"%d %s=%s\n" % (total, key, value)


def _decimal(nanoseconds: int) -> bytes:
    sign = b"-" if nanoseconds < 0 else b""
    seconds, rest = divmod(abs(nanoseconds), 1_000_000_000)
    return sign + (b"%d.%09d" % (seconds, rest)).rstrip(b"0").rstrip(b".")
