"""Compressed streams, recognised by their first bytes and decompressed in this process.

No helper program is ever started: one looked up inside a container's root would be the
container's (CVE-2026-41567). Output comes in bounded pieces, whatever the ratio.
"""

from __future__ import annotations

import bz2
import lzma
from collections.abc import Iterator
from typing import Final, Literal, Protocol, cast

import zstandard
from isal import igzip_lib, isal_zlib

from moorage.lib.errors import InvalidParameter
from moorage.storage.archive.chunks import CHUNK, as_file

Kind = Literal["none", "gzip", "zstd", "bzip2", "xz"]

HEAD: Final = 10  # bytes that decide
_MAGIC: Final[tuple[tuple[bytes, Kind], ...]] = (
    (b"\x1f\x8b\x08", "gzip"),
    (b"\x28\xb5\x2f\xfd", "zstd"),
    (b"BZh", "bzip2"),
    (b"\xfd7zXZ\x00", "xz"),
)
_ZSTD_SKIPPABLE: Final = b"\x2a\x4d\x18"  # bytes 1 to 3; byte 0 is 0x50 to 0x5f
_ZSTD_WINDOW: Final = 1 << 27  # 128 MiB: what `zstd --ultra --long=27` needs, no more
_XZ_MEMORY: Final = 256 << 20


def detect(head: bytes) -> Kind:
    """Return how the stream beginning with *head* is compressed."""
    for magic, kind in _MAGIC:
        if head.startswith(magic):
            return kind
    skippable = head[1:4] == _ZSTD_SKIPPABLE and 0x50 <= head[0] <= 0x5F
    return "zstd" if skippable else "none"


def decompress(chunks: Iterator[bytes]) -> tuple[Kind, Iterator[bytes]]:
    """Return the kind of compression of *chunks* and their plain bytes."""
    kind, whole = peek(chunks)
    return kind, plain(kind, whole)


def peek(chunks: Iterator[bytes]) -> tuple[Kind, Iterator[bytes]]:
    """Return the kind of compression of *chunks*, and the same chunks again."""
    head = b""
    while len(head) < HEAD and (chunk := next(chunks, None)) is not None:
        head += chunk
    return detect(head), _prepend(head, chunks)


def plain(kind: Kind, chunks: Iterator[bytes]) -> Iterator[bytes]:
    """Return *chunks*, compressed by *kind*, decompressed.

    Raises: InvalidParameter while iterating, if they are damaged or truncated.
    """
    if kind == "none":
        return chunks
    if kind == "zstd":
        return _zstd(chunks)
    return _members(kind, chunks)


def _prepend(head: bytes, chunks: Iterator[bytes]) -> Iterator[bytes]:
    if head:
        yield head
    yield from chunks


class _Decompressor(Protocol):
    """What bz2, lzma and igzip have in common."""

    @property
    def eof(self) -> bool: ...
    @property
    def needs_input(self) -> bool: ...
    @property
    def unused_data(self) -> bytes: ...
    def decompress(self, data: bytes, max_length: int) -> bytes: ...


def _decompressor(kind: Kind) -> _Decompressor:
    if kind == "gzip":
        made: _Decompressor = igzip_lib.IgzipDecompressor(flag=igzip_lib.DECOMP_GZIP)
        return made
    if kind == "bzip2":
        return bz2.BZ2Decompressor()
    return lzma.LZMADecompressor(memlimit=_XZ_MEMORY)


def _errors(kind: Kind) -> tuple[type[Exception], ...]:
    """Return what a decompressor of *kind* raises for damaged data."""
    if kind == "gzip":
        return cast("type[Exception]", igzip_lib.IsalError), OSError, EOFError, ValueError
    return (lzma.LZMAError if kind == "xz" else OSError), OSError, EOFError, ValueError


def _members(kind: Kind, chunks: Iterator[bytes]) -> Iterator[bytes]:
    """Decompress a sequence of members, as gzip, bzip2 and xz files may be."""
    machine = _decompressor(kind)
    broken = _errors(kind)
    begun = False
    for chunk in chunks:
        data = chunk
        while data or not machine.needs_input:
            if machine.eof:
                data = machine.unused_data or data
                if not data.strip(b"\0"):  # padding behind the last member
                    data = b""
                    break
                machine, begun = _decompressor(kind), False
            try:
                out = machine.decompress(data, CHUNK)
            except broken as error:
                raise InvalidParameter(f"invalid {kind} data: {error}") from error
            begun, data = True, b""
            if out:
                yield out
            if machine.eof:
                data = machine.unused_data
                if not data:
                    break
    if begun and not machine.eof:
        raise InvalidParameter(f"unexpected EOF: the {kind} data is truncated")


def _zstd(chunks: Iterator[bytes]) -> Iterator[bytes]:
    source = as_file(chunks)
    reader = zstandard.ZstdDecompressor(max_window_size=_ZSTD_WINDOW).stream_reader(
        source, read_across_frames=True
    )
    while True:
        try:
            out = reader.read(CHUNK)
        except zstandard.ZstdError as error:
            raise InvalidParameter(f"invalid zstd data: {error}") from error
        if not out:
            return
        yield out


def gzip(chunks: Iterator[bytes], *, level: int = 1) -> Iterator[bytes]:
    """Compress *chunks*; the same bytes always give the same bytes (no time, no name)."""
    machine = isal_zlib.compressobj(level, isal_zlib.DEFLATED, 31)
    for chunk in chunks:
        if out := machine.compress(chunk):
            yield out
    yield machine.flush()


def zstd(chunks: Iterator[bytes], *, level: int = 3) -> Iterator[bytes]:
    """Compress *chunks* with zstd."""
    machine = zstandard.ZstdCompressor(level=level).compressobj()
    for chunk in chunks:
        if out := machine.compress(chunk):
            yield out
    yield machine.flush()
