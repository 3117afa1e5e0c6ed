"""Connection tracking through ctnetlink: forgetting entries (``nfnetlink_conntrack.h``).

A UDP conversation has no end. Its entry, made before a port was published or after it was closed,
would go on leading packets where they no longer belong for as long as somebody sends.
"""

from __future__ import annotations

import socket
import struct
from collections.abc import Collection
from typing import Final

from moorage.netlink.message import NLA_F_NESTED, Request, attr, attribute_map
from moorage.netlink.nlsocket import NETLINK_NETFILTER, NetlinkSocket

_GENMSG: Final = struct.Struct("!BBH")  # family, version, resource
_GET: Final = 0x101  # NFNL_SUBSYS_CTNETLINK, IPCTNL_MSG_CT_GET
_DELETE: Final = 0x102
_CTA_TUPLE_ORIG: Final = 1
_CTA_TUPLE_PROTO: Final = 2
_CTA_PROTO_NUM: Final = 1
_CTA_PROTO_DST_PORT: Final = 3
_UDP: Final = socket.IPPROTO_UDP


def forget_udp(ports: Collection[int]) -> int:
    """Delete the entries of UDP conversations that were begun with one of *ports*; return how many.

    Blocking. An entry that ends meanwhile is fine.
    """
    found: list[Request] = []
    with NetlinkSocket(NETLINK_NETFILTER) as sock:
        for family in (socket.AF_INET, socket.AF_INET6):
            head = _GENMSG.pack(family, 0, 0)
            for body in sock.dump(Request(_GET, 0, head)):
                original = attribute_map(body[_GENMSG.size :]).get(_CTA_TUPLE_ORIG, b"")
                if _is_udp_to(original, ports):
                    named = attr(_CTA_TUPLE_ORIG | NLA_F_NESTED, original)
                    found.append(Request(_DELETE, 0, head + named))
        sock.run_each(found)
    return len(found)


def _is_udp_to(tuple_: bytes, ports: Collection[int]) -> bool:
    protocol = attribute_map(attribute_map(tuple_).get(_CTA_TUPLE_PROTO, b""))
    if protocol.get(_CTA_PROTO_NUM) != bytes((_UDP,)):
        return False
    port = protocol.get(_CTA_PROTO_DST_PORT, b"")
    return len(port) == 2 and int.from_bytes(port, "big") in ports
