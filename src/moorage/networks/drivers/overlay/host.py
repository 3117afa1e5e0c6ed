"""Which address of this host the others reach it at. Blocking."""

from __future__ import annotations

import ipaddress
import socket

from msgspec import Struct

from moorage.lib.errors import InvalidParameter
from moorage.netlink import address, link, route
from moorage.netlink.nlsocket import NetlinkSocket


class Underlay(Struct, frozen=True, kw_only=True):
    """The way to the other hosts."""

    address: str
    mtu: int


def find(advertise: str) -> Underlay:
    """Return the address and its interface's MTU for ``cluster-advertise``.

    An address, an interface, or nothing: then the interface of the default route.
    Raises: InvalidParameter.
    """
    with NetlinkSocket() as host:
        links = {found.index: found for found in link.read_all(host)}
        addresses = [a for a in address.read_all(host) if a.scope == 0]
        wanted = advertise.partition(":")[0] if advertise.count(":") == 1 else advertise
        if not wanted:
            routes = route.read_all(host, socket.AF_INET)
            index = next((r.interface for r in routes if r.destination.prefixlen == 0), 0)
            addresses = [a for a in addresses if a.index == index]
        elif _is_address(wanted):
            addresses = [a for a in addresses if str(a.interface.ip) == wanted]
        else:
            named = {i for i, found in links.items() if found.name == wanted}
            addresses = [a for a in addresses if a.index in named]
        addresses.sort(key=lambda a: a.interface.version)
        if not addresses:
            raise InvalidParameter(
                f"cluster-advertise: no address of this host for {advertise!r}",
                hint="give an address or an interface that the other hosts can reach",
            )
        return Underlay(address=str(addresses[0].interface.ip), mtu=links[addresses[0].index].mtu)


def _is_address(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True
