"""Netlink messages as bytes: headers, attributes, nesting. No socket, no policy.

Layout: ``nlmsghdr`` (length, type, flags, sequence, port), a family header, then attributes, all
padded to four bytes (``linux/netlink.h``).
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import Final

HEADER: Final = struct.Struct("=IHHII")
_ATTR: Final = struct.Struct("=HH")
_PAD: Final = (b"", b"\0\0\0", b"\0\0", b"\0")

# nlmsghdr.nlmsg_flags
NLM_F_REQUEST: Final = 0x1
NLM_F_MULTI: Final = 0x2
NLM_F_ACK: Final = 0x4
NLM_F_ROOT_MATCH: Final = 0x300  # NLM_F_DUMP
NLM_F_REPLACE: Final = 0x100
NLM_F_EXCL: Final = 0x200
NLM_F_CREATE: Final = 0x400
NLM_F_APPEND: Final = 0x800
NLM_F_ACK_TLVS: Final = 0x200
NLM_F_CAPPED: Final = 0x100

# control messages
NLMSG_ERROR: Final = 2
NLMSG_DONE: Final = 3

NLA_F_NESTED: Final = 0x8000
NLA_TYPE_MASK: Final = 0x3FFF


class Request:
    """One message to be sent; the socket gives it its sequence number."""

    __slots__ = ("body", "flags", "kind")

    def __init__(self, kind: int, flags: int, body: bytes) -> None:
        self.kind = kind
        self.flags = flags
        self.body = body

    def pack(self, sequence: int, extra_flags: int) -> bytes:
        """Return header and body, padded."""
        size = HEADER.size + len(self.body)
        flags = NLM_F_REQUEST | self.flags | extra_flags
        return HEADER.pack(size, self.kind, flags, sequence, 0) + self.body + _PAD[size & 3]


def attr(kind: int, payload: bytes) -> bytes:
    """Return one attribute, padded."""
    size = _ATTR.size + len(payload)
    if size > 0xFFFF:
        message = f"netlink attribute {kind} of {len(payload)} bytes is too long"
        raise ValueError(message)
    return _ATTR.pack(size, kind) + payload + _PAD[size & 3]


def nest(kind: int, *attrs: bytes) -> bytes:
    """Return an attribute that holds *attrs*."""
    return attr(kind | NLA_F_NESTED, b"".join(attrs))


def u8(kind: int, value: int) -> bytes:
    """Return an attribute of one byte."""
    return attr(kind, struct.pack("=B", value))


def u16(kind: int, value: int) -> bytes:
    """Return an attribute of two bytes in host order."""
    return attr(kind, struct.pack("=H", value))


def be16(kind: int, value: int) -> bytes:
    """Return an attribute of two bytes in network order."""
    return attr(kind, struct.pack("!H", value))


def u32(kind: int, value: int) -> bytes:
    """Return an attribute of four bytes in host order."""
    return attr(kind, struct.pack("=I", value))


def text(kind: int, value: str) -> bytes:
    """Return an attribute that is a string with its NUL."""
    return attr(kind, value.encode() + b"\0")


def attributes(payload: bytes) -> Iterator[tuple[int, bytes]]:
    """Split *payload* into (type without flags, content).

    A length that does not fit ends the walk: what the kernel sends is whole or worthless.
    """
    offset, end = 0, len(payload)
    while offset + _ATTR.size <= end:
        size, kind = _ATTR.unpack_from(payload, offset)
        if size < _ATTR.size or offset + size > end:
            return
        yield kind & NLA_TYPE_MASK, payload[offset + _ATTR.size : offset + size]
        offset += (size + 3) & ~3


def attribute_map(payload: bytes) -> dict[int, bytes]:
    """Return the attributes of *payload* by type; of repeated ones the last."""
    return dict(attributes(payload))


def messages(datagram: bytes) -> Iterator[tuple[int, int, int, bytes]]:
    """Split a datagram into (type, flags, sequence, body)."""
    offset, end = 0, len(datagram)
    while offset + HEADER.size <= end:
        size, kind, flags, sequence, _port = HEADER.unpack_from(datagram, offset)
        if size < HEADER.size or offset + size > end:
            return
        yield kind, flags, sequence, datagram[offset + HEADER.size : offset + size]
        offset += (size + 3) & ~3
