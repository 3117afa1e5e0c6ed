"""The kernel's side of an overlay network on this host: a bridge, a VXLAN port, its entries.

Nothing is flooded to other hosts and nothing is learned: every remote container has a forwarding
entry (its Ethernet address → its host) and a neighbour entry (its IP address → its Ethernet
address), from which the port itself answers ARP. So the gateway, this host's bridge, may have the
same address on every host.
"""

from __future__ import annotations

import errno
import ipaddress
from collections.abc import Iterable
from contextlib import suppress
from typing import Final

from msgspec import Struct

from moorage.netlink import link, neighbour
from moorage.netlink.message import Request
from moorage.netlink.nlsocket import NetlinkError, NetlinkSocket

VXLAN_PORT: Final = 4789
OVERHEAD4: Final = 50  # outer Ethernet, IPv4, UDP, VXLAN
OVERHEAD6: Final = 70


class Tunnel(Struct, frozen=True, kw_only=True):
    """A VXLAN port as it is to be."""

    name: str
    bridge: str
    vni: int
    port: int
    local: str
    mtu: int


class Remote(Struct, frozen=True, kw_only=True):
    """A container on another host."""

    mac: str
    addresses: tuple[str, ...]
    host: str


def open_tunnel(tunnel: Tunnel, remotes: Iterable[Remote]) -> None:
    """Make the VXLAN port of a bridge that exists, with its entries. Blocking; idempotent."""
    with NetlinkSocket() as host:
        bridge = link.read(host, tunnel.bridge).index
        try:
            host.run(
                link.vxlan(
                    tunnel.name,
                    vni=tunnel.vni,
                    port=tunnel.port,
                    local=tunnel.local,
                    mtu=tunnel.mtu,
                    master=bridge,
                )
            )
        except NetlinkError as error:
            if error.errno != errno.EEXIST:
                raise
        found = link.read(host, tunnel.name)
        index = found.index
        if found.master != bridge:  # the bridge was deleted, and is another one now
            host.run(link.set_master(index, bridge))
        host.run(link.port_learning(index, on=False, flood=True))
        for remote in remotes:
            host.run(*_entries(index, remote))


def add_remote(tunnel: str, remote: Remote) -> None:
    """Lead to a container on another host. Blocking; a tunnel that is not there needs nothing."""
    with NetlinkSocket() as host, suppress(NetlinkError):
        host.run(*_entries(link.read(host, tunnel).index, remote))


def drop_remote(tunnel: str, remote: Remote) -> None:
    """Lead there no longer. Blocking; idempotent."""
    with NetlinkSocket() as host, suppress(NetlinkError):
        index = link.read(host, tunnel).index
        requests = [
            neighbour.forget_answer(index, ipaddress.ip_address(text), remote.mac)
            for text in remote.addresses
        ]
        requests.append(
            neighbour.forget_forward(index, remote.mac, ipaddress.ip_address(remote.host))
        )
        host.run_each(requests)


def set_tunnels(names: Iterable[str], *, up: bool) -> None:
    """Bring VXLAN ports up or down. Blocking."""
    with NetlinkSocket() as host:
        host.run_each([link.set_up(n) if up else link.set_down(n) for n in names])


def _entries(index: int, remote: Remote) -> list[Request]:
    requests = [neighbour.forward(index, remote.mac, ipaddress.ip_address(remote.host))]
    requests += [
        neighbour.answer(index, ipaddress.ip_address(text), remote.mac) for text in remote.addresses
    ]
    return requests
