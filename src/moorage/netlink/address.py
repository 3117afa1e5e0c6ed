"""rtnetlink messages about interface addresses (``linux/if_addr.h``)."""

from __future__ import annotations

import ipaddress
import struct
from typing import Final

from msgspec import Struct

from moorage.netlink.message import (
    NLM_F_CREATE,
    NLM_F_REPLACE,
    Request,
    attr,
    attribute_map,
    u32,
)
from moorage.netlink.nlsocket import NetlinkSocket

_IFADDR: Final = struct.Struct("=BBBBI")  # family, prefix length, flags, scope, index
RTM_NEWADDR: Final = 20
RTM_DELADDR: Final = 21
RTM_GETADDR: Final = 22
_IFA_ADDRESS: Final = 1
_IFA_LOCAL: Final = 2
_IFA_BROADCAST: Final = 4
_IFA_FLAGS: Final = 8
_IFA_F_NODAD: Final = 0x02
_AF: Final = {4: 2, 6: 10}

Interface = ipaddress.IPv4Interface | ipaddress.IPv6Interface


class Address(Struct, frozen=True, kw_only=True):
    """An address of an interface, as a dump says it."""

    index: int
    interface: Interface
    scope: int  # 0 global, 253 link, 254 host


def _body(index: int, address: Interface) -> bytes:
    raw = address.packed
    scope = 253 if address.ip.is_link_local else 0
    head = _IFADDR.pack(_AF[address.version], address.network.prefixlen, 0, scope, index)
    body = head + attr(_IFA_LOCAL, raw) + attr(_IFA_ADDRESS, raw)
    if isinstance(address, ipaddress.IPv4Interface):
        if address.network.prefixlen < 31:
            body += attr(_IFA_BROADCAST, address.network.broadcast_address.packed)
    else:
        # Uniqueness is the allocator's word; duplicate detection would hold the address back 1 s.
        body += u32(_IFA_FLAGS, _IFA_F_NODAD)
    return body


def add(index: int, address: Interface) -> Request:
    """Give an interface an address; one that is there already is fine."""
    return Request(RTM_NEWADDR, NLM_F_CREATE | NLM_F_REPLACE, _body(index, address))


def delete(index: int, address: Interface) -> Request:
    """Take an address away."""
    return Request(RTM_DELADDR, 0, _body(index, address))


def read_all(sock: NetlinkSocket) -> list[Address]:
    """Return all addresses of the socket's namespace."""
    return [_parse(b) for b in sock.dump(Request(RTM_GETADDR, 0, _IFADDR.pack(0, 0, 0, 0, 0)))]


def _parse(body: bytes) -> Address:
    _family, length, _flags, scope, index = _IFADDR.unpack_from(body)
    found = attribute_map(body[_IFADDR.size :])
    raw = found.get(_IFA_LOCAL) or found[_IFA_ADDRESS]
    return Address(index=index, interface=ipaddress.ip_interface((raw, length)), scope=scope)
