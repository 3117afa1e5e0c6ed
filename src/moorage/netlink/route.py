"""rtnetlink messages about routes (``linux/rtnetlink.h``)."""

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

_RTMSG: Final = struct.Struct("=BBBBBBBBI")
RTM_NEWROUTE: Final = 24
RTM_DELROUTE: Final = 25
RTM_GETROUTE: Final = 26
_RTA_DST: Final = 1
_RTA_OIF: Final = 4
_RTA_GATEWAY: Final = 5
_RTA_PRIORITY: Final = 6
_RT_TABLE_MAIN: Final = 254
_RT_TABLE_LOCAL: Final = 255
_RTPROT_STATIC: Final = 4
_RT_SCOPE_UNIVERSE: Final = 0
_RT_SCOPE_LINK: Final = 253
_RTN_UNICAST: Final = 1
_RTN_LOCAL: Final = 2
_LAST: Final = 1 << 20  # a metric behind all others
_RTM_F_CLONED: Final = 0x200
_AF: Final = {4: 2, 6: 10}

IPAddress = ipaddress.IPv4Address | ipaddress.IPv6Address
IPNetwork = ipaddress.IPv4Network | ipaddress.IPv6Network


class Route(Struct, frozen=True, kw_only=True):
    """A unicast route of the main table, as a dump says it."""

    destination: IPNetwork
    gateway: IPAddress | None = None
    interface: int = 0


def _body(destination: IPNetwork, gateway: IPAddress | None, interface: int) -> bytes:
    scope = _RT_SCOPE_LINK if gateway is None and destination.version == 4 else _RT_SCOPE_UNIVERSE
    body = _RTMSG.pack(
        _AF[destination.version],
        destination.prefixlen,
        0,
        0,
        _RT_TABLE_MAIN,
        _RTPROT_STATIC,
        scope,
        _RTN_UNICAST,
        0,
    )
    if destination.prefixlen:
        body += attr(_RTA_DST, destination.network_address.packed)
    if gateway is not None:
        body += attr(_RTA_GATEWAY, gateway.packed)
    if interface:
        body += u32(_RTA_OIF, interface)
    return body


def add(destination: IPNetwork, *, gateway: IPAddress | None = None, interface: int = 0) -> Request:
    """Add or replace a route through *gateway*, or directly through *interface*."""
    return Request(
        RTM_NEWROUTE, NLM_F_CREATE | NLM_F_REPLACE, _body(destination, gateway, interface)
    )


def add_local(destination: IPNetwork, interface: int) -> Request:
    """Take packets to *destination* that come in on *interface* as this host's own."""
    body = _RTMSG.pack(
        _AF[destination.version],
        destination.prefixlen,
        0,
        0,
        _RT_TABLE_LOCAL,
        _RTPROT_STATIC,
        _RT_SCOPE_UNIVERSE,
        _RTN_LOCAL,
        0,
    )
    body += attr(_RTA_DST, destination.network_address.packed)
    body += u32(_RTA_OIF, interface) + u32(_RTA_PRIORITY, _LAST)
    return Request(RTM_NEWROUTE, NLM_F_CREATE | NLM_F_REPLACE, body)


def delete(
    destination: IPNetwork, *, gateway: IPAddress | None = None, interface: int = 0
) -> Request:
    """Delete a route."""
    return Request(RTM_DELROUTE, 0, _body(destination, gateway, interface))


def read_all(sock: NetlinkSocket, family: int) -> list[Route]:
    """Return the unicast routes of the main table for ``AF_INET`` or ``AF_INET6``."""
    request = Request(RTM_GETROUTE, 0, _RTMSG.pack(family, 0, 0, 0, _RT_TABLE_MAIN, 0, 0, 0, 0))
    return [route for body in sock.dump(request) if (route := parse(body))]


def parse(body: bytes) -> Route | None:
    """Return what a message says of a route; None if it is not a unicast one of the main table."""
    family, length, _src, _tos, table, _proto, _scope, kind, flags = _RTMSG.unpack_from(body)
    if table != _RT_TABLE_MAIN or kind != _RTN_UNICAST or flags & _RTM_F_CLONED:
        return None
    found = attribute_map(body[_RTMSG.size :])
    empty = bytes(4 if family == _AF[4] else 16)
    gateway = found.get(_RTA_GATEWAY)
    return Route(
        destination=ipaddress.ip_network((found.get(_RTA_DST, empty), length)),
        gateway=ipaddress.ip_address(gateway) if gateway else None,
        interface=struct.unpack("=I", found[_RTA_OIF])[0] if _RTA_OIF in found else 0,
    )
