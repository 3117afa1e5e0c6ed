"""rtnetlink messages about neighbours and forwarding entries (``linux/neighbour.h``)."""

from __future__ import annotations

import ipaddress
import struct
from typing import Final

from moorage.netlink.link import mac_bytes
from moorage.netlink.message import NLM_F_CREATE, NLM_F_REPLACE, Request, attr

_NDMSG: Final = struct.Struct("=BxxxiHBB")  # family, index, state, flags, type
RTM_NEWNEIGH: Final = 28
RTM_DELNEIGH: Final = 29
_NDA_DST: Final = 1
_NDA_LLADDR: Final = 2
_NUD_NOARP: Final = 0x40
_NUD_PERMANENT: Final = 0x80
_NTF_SELF: Final = 0x02
_NTF_MASTER: Final = 0x04
_AF_BRIDGE: Final = 7
_AF: Final = {4: 2, 6: 10}

IPAddress = ipaddress.IPv4Address | ipaddress.IPv6Address


def forward(index: int, mac: str, to: IPAddress) -> Request:
    """On the VXLAN port *index*, send frames for *mac* to the host *to*."""
    return Request(RTM_NEWNEIGH, NLM_F_CREATE | NLM_F_REPLACE, _fdb(index, mac, to))


def lives_at(index: int, mac: str) -> Request:
    """On the bridge whose port is *index*, *mac* is behind that port and nowhere else."""
    head = _NDMSG.pack(_AF_BRIDGE, index, _NUD_NOARP, _NTF_MASTER, 0)
    body = head + attr(_NDA_LLADDR, mac_bytes(mac))
    return Request(RTM_NEWNEIGH, NLM_F_CREATE | NLM_F_REPLACE, body)


def forget_forward(index: int, mac: str, to: IPAddress) -> Request:
    """Undo ``forward``."""
    return Request(RTM_DELNEIGH, 0, _fdb(index, mac, to))


def _fdb(index: int, mac: str, to: IPAddress) -> bytes:
    head = _NDMSG.pack(_AF_BRIDGE, index, _NUD_NOARP | _NUD_PERMANENT, _NTF_SELF, 0)
    return head + attr(_NDA_LLADDR, mac_bytes(mac)) + attr(_NDA_DST, to.packed)


def answer(index: int, address: IPAddress, mac: str) -> Request:
    """*address* is at *mac* behind the interface *index*, for good: nobody is asked.

    A VXLAN port answers ARP and neighbour solicitations from such entries.
    """
    return Request(RTM_NEWNEIGH, NLM_F_CREATE | NLM_F_REPLACE, _neighbour(index, address, mac))


def forget_answer(index: int, address: IPAddress, mac: str) -> Request:
    """Undo ``answer``."""
    return Request(RTM_DELNEIGH, 0, _neighbour(index, address, mac))


def _neighbour(index: int, address: IPAddress, mac: str) -> bytes:
    head = _NDMSG.pack(_AF[address.version], index, _NUD_PERMANENT, 0, 0)
    return head + attr(_NDA_DST, address.packed) + attr(_NDA_LLADDR, mac_bytes(mac))
