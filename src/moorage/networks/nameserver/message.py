"""DNS messages (RFC 1035, EDNS of RFC 6891): just what a resolver's query and our answers need.

Pure: bytes in, values out. A query that is not understood gives None, or a code to answer with.
"""

from __future__ import annotations

import socket
import struct
from typing import Final, NamedTuple

HEADER: Final = struct.Struct("!HHHHHH")
_RR: Final = struct.Struct("!HHHIH")  # pointer to the question's name, type, class, TTL, length
_OPT: Final = struct.Struct("!BHHIH")

A, NS, SOA, PTR, MX, TXT, AAAA, SRV, OPT, ANY = 1, 2, 6, 12, 15, 16, 28, 33, 41, 255
IN: Final = 1
NOERROR, FORMERR, SERVFAIL, NXDOMAIN, NOTIMP, REFUSED, BADVERS = 0, 1, 2, 3, 4, 5, 16

QR, TC, RD, RA = 0x8000, 0x0200, 0x0100, 0x0080
_OPCODE: Final = 0x7800
_POINTER: Final = 0xC00C  # to the name behind the header
_MAX_NAME: Final = 255
OUR_UDP_SIZE: Final = 1232  # what passes every path unfragmented (DNS flag day 2020)
PLAIN_UDP_SIZE: Final = 512  # RFC 1035, without EDNS


class Query(NamedTuple):
    """A question with what an answer must repeat of it."""

    id: int
    flags: int
    name: str  # lower case, without the last dot
    kind: int
    question: bytes  # as it came
    edns: bool = False
    size: int = PLAIN_UDP_SIZE  # of the largest answer over UDP
    error: int = 0  # to be answered with at once


def parse_query(datagram: bytes) -> Query | None:
    """Read a query; None for what deserves no answer (responses, fragments of nothing)."""
    if len(datagram) < HEADER.size:
        return None
    number, flags, questions, answers, authorities, extras = HEADER.unpack_from(datagram)
    if flags & QR:
        return None
    if flags & _OPCODE:
        return Query(number, flags, "", 0, b"", error=NOTIMP)
    name, end = read_name(datagram, HEADER.size)
    if questions != 1 or name is None or end + 4 > len(datagram):
        return Query(number, flags, "", 0, b"", error=FORMERR)
    kind, _class = struct.unpack_from("!HH", datagram, end)
    end += 4
    edns, size, error = False, PLAIN_UDP_SIZE, NOERROR
    if extras and not answers and not authorities and end + _OPT.size <= len(datagram):
        root, opt, wanted, version, _length = _OPT.unpack_from(datagram, end)
        if root == 0 and opt == OPT:
            edns, size = True, max(PLAIN_UDP_SIZE, min(wanted, OUR_UDP_SIZE))
            if (version >> 16) & 0xFF:
                error = BADVERS
    return Query(number, flags, name, kind, datagram[HEADER.size : end], edns, size, error)


def read_name(datagram: bytes, offset: int) -> tuple[str | None, int]:
    """Read an uncompressed name; (None, offset) if it is malformed."""
    labels: list[bytes] = []
    start = offset
    while offset < len(datagram):
        size = datagram[offset]
        offset += 1
        if size == 0:
            name = b".".join(labels).lower()
            return name.decode("ascii", "backslashreplace"), offset
        if size > 63 or offset + size > len(datagram) or offset - start > _MAX_NAME:
            break  # a pointer has no business in a question
        labels.append(datagram[offset : offset + size])
        offset += size
    return None, start


def pack_name(name: str) -> bytes:
    """Return a name in wire form; labels that are too long are cut out."""
    packed = b"".join(
        bytes((len(label),)) + label
        for label in name.encode("ascii", "replace").split(b".")
        if 0 < len(label) < 64
    )
    return packed[: _MAX_NAME - 1] + b"\0"


def record(kind: int, data: bytes, ttl: int) -> bytes:
    """Return a resource record for the question's own name."""
    return _RR.pack(_POINTER, kind, IN, ttl, len(data)) + data


def address_record(text: str, ttl: int) -> bytes:
    """Return an A or AAAA record."""
    if ":" in text:
        return record(AAAA, socket.inet_pton(socket.AF_INET6, text), ttl)
    return record(A, socket.inet_aton(text), ttl)


def answer(query: Query, code: int, records: list[bytes] | None = None) -> bytes:
    """Return a whole answer; it is cut, and says so, where it would not fit into UDP.

    The caller drops the limit for TCP by a query of size 65535.
    """
    flags = QR | RA | (query.flags & RD) | (code & 0xF)
    tail = b""
    if query.edns:
        tail = _OPT.pack(0, OPT, OUR_UDP_SIZE, (code >> 4) << 24, 0)
    room = query.size - HEADER.size - len(query.question) - len(tail)
    body: list[bytes] = []
    for item in records or ():
        room -= len(item)
        if room < 0:
            flags |= TC
            break
        body.append(item)
    head = HEADER.pack(
        query.id, flags, 1 if query.question else 0, len(body), 0, 1 if query.edns else 0
    )
    return b"".join((head, query.question, *body, tail))


def reverse_address(name: str) -> str | None:
    """Return the address that ``4.3.2.1.in-addr.arpa`` or ``….ip6.arpa`` asks for."""
    try:
        if name.endswith(".in-addr.arpa"):
            text = ".".join(reversed(name.removesuffix(".in-addr.arpa").split(".")))
            return socket.inet_ntoa(socket.inet_pton(socket.AF_INET, text))
        if name.endswith(".ip6.arpa"):
            digits = "".join(reversed(name.removesuffix(".ip6.arpa").split(".")))
            return socket.inet_ntop(socket.AF_INET6, bytes.fromhex(digits))
    except (OSError, ValueError):
        return None
    return None
