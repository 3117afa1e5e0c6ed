"""rtnetlink messages about interfaces (``linux/if_link.h``)."""

from __future__ import annotations

import socket
import struct
from collections.abc import Mapping
from typing import Final

from msgspec import Struct

from moorage.netlink.message import (
    NLM_F_CREATE,
    NLM_F_EXCL,
    Request,
    attr,
    attribute_map,
    be16,
    nest,
    text,
    u8,
    u16,
    u32,
)
from moorage.netlink.nlsocket import NetlinkSocket

_IFINFO: Final = struct.Struct("=BxHiII")  # family, type, index, flags, change

RTM_NEWLINK: Final = 16
RTM_DELLINK: Final = 17
RTM_GETLINK: Final = 18
RTM_SETLINK: Final = 19

IFF_UP: Final = 0x1

_IFLA_ADDRESS: Final = 1
_IFLA_IFNAME: Final = 3
_IFLA_MTU: Final = 4
_IFLA_LINK: Final = 5
_IFLA_MASTER: Final = 10
_IFLA_PROTINFO: Final = 12
_IFLA_LINKINFO: Final = 18
_IFLA_GROUP: Final = 27
_IFLA_NET_NS_FD: Final = 28
_IFLA_INFO_KIND: Final = 1
_IFLA_INFO_DATA: Final = 2
_VETH_INFO_PEER: Final = 1
_AF_BRIDGE: Final = 7
_AF_INET6: Final = 10
_IFLA_AF_SPEC: Final = 26
_IFLA_INET6_ADDR_GEN_MODE: Final = 8
_ADDR_GEN_MODE_NONE: Final = 1

# linux/if_link.h, IFLA_BR_*
_IFLA_BR_VLAN_DEFAULT_PVID: Final = 39
_IFLA_BR_NF_CALL_IPTABLES: Final = 36

# linux/if_link.h, IFLA_BRPORT_*
_IFLA_BRPORT_STATE: Final = 1
_IFLA_BRPORT_MODE: Final = 4  # hairpin
_IFLA_BRPORT_LEARNING: Final = 8
_IFLA_BRPORT_UNICAST_FLOOD: Final = 9
_IFLA_BRPORT_FLUSH: Final = 26
_IFLA_BRPORT_LOCKED: Final = 39
_BR_STATE_DISABLED: Final = 0

_IFLA_MACVLAN_MODE: Final = 1
MACVLAN_MODES: Final[Mapping[str, int]] = {"private": 1, "vepa": 2, "bridge": 4, "passthru": 8}
_IFLA_IPVLAN_MODE: Final = 1
_IFLA_IPVLAN_FLAGS: Final = 2
IPVLAN_MODES: Final[Mapping[str, int]] = {"l2": 0, "l3": 1, "l3s": 2}
IPVLAN_FLAGS: Final[Mapping[str, int]] = {"bridge": 0, "private": 1, "vepa": 2}
_IFLA_VLAN_ID: Final = 1
_IFLA_VXLAN_ID: Final = 1
_IFLA_VXLAN_LOCAL: Final = 4
_IFLA_VXLAN_LOCAL6: Final = 17
_IFLA_VXLAN_LEARNING: Final = 7
_IFLA_VXLAN_PORT: Final = 15
_IFLA_VXLAN_PROXY: Final = 11
_IFLA_VXLAN_L2MISS: Final = 13
_IFLA_VXLAN_L3MISS: Final = 14


class Link(Struct, frozen=True, kw_only=True):
    """What a dump says of one interface."""

    index: int
    name: str
    up: bool
    mtu: int = 0
    address: str = ""
    master: int = 0
    kind: str = ""
    parent: int = 0


def _info(index: int = 0, *, flags: int = 0, change: int = 0, family: int = 0) -> bytes:
    return _IFINFO.pack(family, 0, index, flags, change)


def mac_bytes(address: str) -> bytes:
    """Return the six bytes of ``02:42:ac:11:00:02``.

    Raises: ValueError.
    """
    raw = bytes.fromhex(address.replace(":", "").replace("-", ""))
    if len(raw) != 6:
        message = f"not an Ethernet address: {address}"
        raise ValueError(message)
    return raw


def _new(*attrs: bytes, up: bool = True) -> Request:
    flags = IFF_UP if up else 0
    return Request(
        RTM_NEWLINK, NLM_F_CREATE | NLM_F_EXCL, _info(flags=flags, change=flags) + b"".join(attrs)
    )


def _kind(kind: str, *options: bytes) -> bytes:
    parts = [text(_IFLA_INFO_KIND, kind)]
    if options:
        parts.append(nest(_IFLA_INFO_DATA, *options))
    return nest(_IFLA_LINKINFO, *parts)


def veth(name: str, *, master: int, mtu: int, peer: str, peer_mac: str, namespace: int) -> Request:
    """Create a pair: *name* here as an upped port of *master*, *peer* in *namespace* (an fd)."""
    peer_attrs = [text(_IFLA_IFNAME, peer), u32(_IFLA_MTU, mtu), u32(_IFLA_NET_NS_FD, namespace)]
    if peer_mac:
        peer_attrs.append(attr(_IFLA_ADDRESS, mac_bytes(peer_mac)))
    pair = _kind("veth", nest(_VETH_INFO_PEER, _info() + b"".join(peer_attrs)))
    attrs = [text(_IFLA_IFNAME, name), u32(_IFLA_MTU, mtu), pair]
    if master:
        attrs.append(u32(_IFLA_MASTER, master))
    return _new(*attrs)


def bridge(name: str, *, mac: str, mtu: int) -> Request:
    """Create a bridge; a fixed *mac* keeps its address when ports come and go."""
    attrs = [text(_IFLA_IFNAME, name), attr(_IFLA_ADDRESS, mac_bytes(mac)), _kind("bridge")]
    if mtu:
        attrs.append(u32(_IFLA_MTU, mtu))
    return _new(*attrs)


def dummy(name: str) -> Request:
    """Create an interface that leads nowhere: the parent of an internal macvlan."""
    return _new(text(_IFLA_IFNAME, name), _kind("dummy"))


def wireguard(name: str) -> Request:
    """Create a WireGuard interface; left down."""
    return _new(text(_IFLA_IFNAME, name), _kind("wireguard"), up=False)


def vlan(name: str, *, parent: int, tag: int) -> Request:
    """Create an 802.1q sub-interface of *parent*."""
    return _new(
        text(_IFLA_IFNAME, name), u32(_IFLA_LINK, parent), _kind("vlan", u16(_IFLA_VLAN_ID, tag))
    )


def macvlan(
    name: str, *, parent: int, mode: str, mac: str = "", mtu: int = 0, namespace: int | None = None
) -> Request:
    """Create a macvlan of *parent*, at once in *namespace* if one is given; left down."""
    attrs = [
        text(_IFLA_IFNAME, name),
        u32(_IFLA_LINK, parent),
        _kind("macvlan", u32(_IFLA_MACVLAN_MODE, MACVLAN_MODES[mode])),
    ]
    return _new(*attrs, *_placed(mac, mtu, namespace), up=False)


def ipvlan(
    name: str, *, parent: int, mode: str, flag: str, mtu: int = 0, namespace: int | None = None
) -> Request:
    """Create an ipvlan of *parent*, at once in *namespace* if one is given; left down."""
    options = (
        u16(_IFLA_IPVLAN_MODE, IPVLAN_MODES[mode]),
        u16(_IFLA_IPVLAN_FLAGS, IPVLAN_FLAGS[flag]),
    )
    attrs = [text(_IFLA_IFNAME, name), u32(_IFLA_LINK, parent), _kind("ipvlan", *options)]
    return _new(*attrs, *_placed("", mtu, namespace), up=False)


def vxlan(name: str, *, vni: int, port: int, local: str, mtu: int, master: int) -> Request:
    """Create a VXLAN port of *master* whose forwarding entries are written, never learned."""
    family = socket.AF_INET6 if ":" in local else socket.AF_INET
    options = (
        u32(_IFLA_VXLAN_ID, vni),
        be16(_IFLA_VXLAN_PORT, port),
        u8(_IFLA_VXLAN_LEARNING, 0),
        u8(_IFLA_VXLAN_PROXY, 1),
        attr(
            _IFLA_VXLAN_LOCAL if family == socket.AF_INET else _IFLA_VXLAN_LOCAL6,
            socket.inet_pton(family, local),
        ),
    )
    attrs = [text(_IFLA_IFNAME, name), u32(_IFLA_MTU, mtu), u32(_IFLA_MASTER, master)]
    return _new(*attrs, _kind("vxlan", *options))


def _placed(mac: str, mtu: int, namespace: int | None) -> list[bytes]:
    attrs: list[bytes] = []
    if mac:
        attrs.append(attr(_IFLA_ADDRESS, mac_bytes(mac)))
    if mtu:
        attrs.append(u32(_IFLA_MTU, mtu))
    if namespace is not None:
        attrs.append(u32(_IFLA_NET_NS_FD, namespace))
    return attrs


def set_up(name: str) -> Request:
    """Bring an interface up."""
    return Request(RTM_NEWLINK, 0, _info(flags=IFF_UP, change=IFF_UP) + text(_IFLA_IFNAME, name))


def set_down(name: str) -> Request:
    """Take an interface down."""
    return Request(RTM_NEWLINK, 0, _info(change=IFF_UP) + text(_IFLA_IFNAME, name))


def no_link_local(name: str) -> Request:
    """Let an interface make no IPv6 link-local address: a bridge's port has no use for one."""
    mode = nest(_AF_INET6, u8(_IFLA_INET6_ADDR_GEN_MODE, _ADDR_GEN_MODE_NONE))
    return Request(RTM_NEWLINK, 0, _info() + text(_IFLA_IFNAME, name) + nest(_IFLA_AF_SPEC, mode))


def set_mtu(name: str, mtu: int) -> Request:
    """Change the largest packet an interface takes."""
    return Request(RTM_NEWLINK, 0, _info() + text(_IFLA_IFNAME, name) + u32(_IFLA_MTU, mtu))


def set_mac(name: str, mac: str) -> Request:
    """Change the Ethernet address of an interface."""
    body = _info() + text(_IFLA_IFNAME, name) + attr(_IFLA_ADDRESS, mac_bytes(mac))
    return Request(RTM_NEWLINK, 0, body)


def set_master(index: int, master: int) -> Request:
    """Make an interface a port of the bridge *master*; 0 frees it."""
    return Request(RTM_SETLINK, 0, _info(index) + u32(_IFLA_MASTER, master))


def move(index: int, *, name: str, namespace: int) -> Request:
    """Move an interface to *namespace* (an fd) under the name *name*; it must be down."""
    body = _info(index) + text(_IFLA_IFNAME, name) + u32(_IFLA_NET_NS_FD, namespace)
    return Request(RTM_SETLINK, 0, body)


def port_mode(index: int, *, hairpin: bool, confined: bool) -> Request:
    """Let a bridge port receive what it sent itself, or not; hold it to known addresses, or not.

    A *confined* port teaches the bridge nothing, hears nothing that is meant for strangers, and
    what it sends from an address that is not known to be behind it is dropped (since Linux 5.16).
    """
    free = int(not confined)
    return _port(
        index,
        u8(_IFLA_BRPORT_MODE, int(hairpin)),
        u8(_IFLA_BRPORT_LEARNING, free),
        u8(_IFLA_BRPORT_UNICAST_FLOOD, free),
        u8(_IFLA_BRPORT_LOCKED, int(confined)),
    )


def port_learning(index: int, *, on: bool, flood: bool) -> Request:
    """Switch learning of addresses and flooding of unknown ones on a bridge port."""
    return _port(
        index, u8(_IFLA_BRPORT_LEARNING, int(on)), u8(_IFLA_BRPORT_UNICAST_FLOOD, int(flood))
    )


def port_cut(index: int) -> Request:
    """Stop all forwarding of a bridge port and forget what was learned there.

    Cheap, unlike deletion, which waits for the whole machine to notice.
    """
    return _port(index, u8(_IFLA_BRPORT_STATE, _BR_STATE_DISABLED), attr(_IFLA_BRPORT_FLUSH, b""))


def _port(index: int, *options: bytes) -> Request:
    return Request(RTM_SETLINK, 0, _info(index, family=_AF_BRIDGE) + nest(_IFLA_PROTINFO, *options))


def delete(name: str) -> Request:
    """Delete an interface by name."""
    return Request(RTM_DELLINK, 0, _info() + text(_IFLA_IFNAME, name))


def set_group(name: str, group: int) -> Request:
    """Put an interface into a group."""
    return Request(RTM_SETLINK, 0, _info() + text(_IFLA_IFNAME, name) + u32(_IFLA_GROUP, group))


def delete_group(group: int) -> Request:
    """Delete all interfaces of a group: the kernel waits once, not once for each."""
    return Request(RTM_DELLINK, 0, _info() + u32(_IFLA_GROUP, group))


def read(sock: NetlinkSocket, name: str) -> Link:
    """Return one interface.

    Raises: NetlinkError (ENODEV).
    """
    return parse(sock.get(Request(RTM_GETLINK, 0, _info() + text(_IFLA_IFNAME, name)))[0])


def read_all(sock: NetlinkSocket) -> list[Link]:
    """Return all interfaces of the socket's namespace."""
    return [parse(body) for body in sock.dump(Request(RTM_GETLINK, 0, _info()))]


def parse(body: bytes) -> Link:
    """Return what a message says of an interface."""
    _family, _type, index, flags, _change = _IFINFO.unpack_from(body)
    found = attribute_map(body[_IFINFO.size :])
    info = attribute_map(found.get(_IFLA_LINKINFO, b""))

    def number(kind: int) -> int:
        raw = found.get(kind)
        return int(struct.unpack("=I", raw)[0]) if raw else 0

    return Link(
        index=index,
        name=found.get(_IFLA_IFNAME, b"").rstrip(b"\0").decode(errors="replace"),
        up=bool(flags & IFF_UP),
        mtu=number(_IFLA_MTU),
        address=found.get(_IFLA_ADDRESS, b"").hex(":"),
        master=number(_IFLA_MASTER),
        kind=info.get(_IFLA_INFO_KIND, b"").rstrip(b"\0").decode(errors="replace"),
        parent=number(_IFLA_LINK),
    )
