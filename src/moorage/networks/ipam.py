"""Addresses: pools cut from ranges, subnets, single addresses. Pure: no I/O, no kernel.

A *pool* is one subnet of one network with the addresses in use; it always hands out the lowest free
one, as Docker does, so that a container that restarts alone gets its address back.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Iterator, Sequence
from typing import Final

from msgspec import Struct, field

from moorage.lib.errors import Forbidden, InvalidParameter
from moorage.networks.config import AddressPool

IPAddress = ipaddress.IPv4Address | ipaddress.IPv6Address
IPNetwork = ipaddress.IPv4Network | ipaddress.IPv6Network

# The default bridge takes a whole base, user-defined networks take /24s: 250 containers each are
# enough for nearly all, and the list no longer ends after 31 networks (docker/for-linux#418).
DEFAULT_POOLS: Final = (
    *(AddressPool(base=f"172.{n}.0.0/16", size=24) for n in range(18, 32)),
    AddressPool(base="192.168.0.0/16", size=24),
)
DEFAULT_BRIDGE_POOLS: Final = (
    *(AddressPool(base=f"172.{n}.0.0/16", size=16) for n in range(17, 32)),
    AddressPool(base="192.168.0.0/16", size=20),
    *DEFAULT_POOLS,  # a host with many daemons, or many routes: a small bridge is better than none
)


_ROUTES_SHOWN: Final = 5  # of those that are in the way


class Subnet(Struct, frozen=True, kw_only=True):
    """One subnet of a network, as it is stored."""

    cidr: str
    ip_range: str = ""
    gateway: str = ""
    auxiliary: dict[str, str] = field(default_factory=dict)
    lonely: bool = False  # nothing is the gateway: its address is there for containers too


class Pool:
    """The addresses of one subnet."""

    def __init__(self, subnet: Subnet) -> None:
        self.subnet = subnet
        self.network: IPNetwork = ipaddress.ip_network(subnet.cidr)
        self._range = ipaddress.ip_network(subnet.ip_range) if subnet.ip_range else self.network
        self._used: set[int] = set()
        self._base = int(self.network.network_address)
        # RFC 3021 and RFC 6164: in the smallest subnets every address is a host's
        if self.network.prefixlen < self.network.max_prefixlen - 1:
            self._used.add(self._base)
            if self.network.version == 4:
                self._used.add(int(self.network.broadcast_address))
        first = int(self._range.network_address)
        self._first, self._last = first, first + self._range.num_addresses - 1
        self._hint = self._first

    def __contains__(self, address: IPAddress) -> bool:
        """Whether the subnet holds *address*."""
        return address in self.network

    def take(self) -> IPAddress | None:
        """Take the lowest free address of the range; None if there is none."""
        candidate = self._hint
        while candidate in self._used:
            candidate += 1
        if candidate > self._last:
            return None
        self._used.add(candidate)
        self._hint = candidate + 1
        return _same_kind(self.network, candidate)

    def claim(self, address: IPAddress) -> bool:
        """Take *address* itself; False if it is in use."""
        number = int(address)
        if number in self._used:
            return False
        self._used.add(number)
        return True

    def release(self, address: IPAddress) -> None:
        """Give *address* back; one that is free already stays free."""
        number = int(address)
        self._used.discard(number)
        if self._first <= number < self._hint:
            self._hint = number

    @property
    def in_use(self) -> int:
        """Addresses taken or reserved."""
        return len(self._used)

    @property
    def available(self) -> int:
        """Addresses of the range that can still be taken."""
        taken = sum(1 for number in self._used if self._first <= number <= self._last)
        return self._range.num_addresses - taken


def _same_kind(network: IPNetwork, number: int) -> IPAddress:
    if network.version == 4:
        return ipaddress.IPv4Address(number)
    return ipaddress.IPv6Address(number)


def free_subnet(
    pools: Iterable[AddressPool],
    taken: Iterable[IPNetwork],
    *,
    routes: Iterable[IPNetwork] = (),
    like: int = 4,
) -> IPNetwork:
    """Return the first subnet of *pools* (of IP version *like*) that overlaps nothing *taken*.

    Nor any of the host's *routes*.
    Raises: InvalidParameter, with Docker's sentence, naming routes that are in the way.
    """
    ours = [n for n in taken if n.version == like]
    foreign = [n for n in routes if n.version == like and n not in ours]
    obstacles = sorted((int(n.network_address), int(n.broadcast_address)) for n in ours + foreign)
    bases = [(ipaddress.ip_network(pool.base), pool.size) for pool in pools]
    for base, size in bases:
        if base.version != like:
            continue
        if (found := _first_gap(base, size, obstacles)) is not None:
            return found
    blocking = [n for n in foreign if any(b.version == like and b.overlaps(n) for b, _ in bases)]
    raise InvalidParameter(
        "all predefined address pools have been fully subnetted",
        hint="remove unused networks, give --subnet, or set default-address-pools in daemon.json"
        + _named(blocking),
    )


def _named(routes: Sequence[IPNetwork]) -> str:
    if not routes:
        return ""
    shown = ", ".join(str(route) for route in routes[:_ROUTES_SHOWN])
    more = f" and {len(routes) - _ROUTES_SHOWN} more" if len(routes) > _ROUTES_SHOWN else ""
    return f"; routes of this host are in the way: {shown}{more}"


def _first_gap(base: IPNetwork, size: int, obstacles: list[tuple[int, int]]) -> IPNetwork | None:
    step = 1 << (base.max_prefixlen - size)
    start, end = int(base.network_address), int(base.broadcast_address)
    for low, high in obstacles:
        if high < start:
            continue
        if low >= start + step or start + step - 1 > end:
            break
        start = -(-(high + 1) // step) * step  # the next multiple beyond the obstacle
    if start + step - 1 > end:
        return None
    return ipaddress.ip_network((_same_kind(base, start), size))


def gateway_of(subnet: Subnet) -> IPAddress:
    """Return the gateway: the given one, else the first host address of the subnet."""
    if subnet.gateway:
        return ipaddress.ip_address(subnet.gateway)
    network = ipaddress.ip_network(subnet.cidr)
    offset = 0 if network.prefixlen >= network.max_prefixlen - 1 else 1
    return network.network_address + offset


def check_subnets(subnets: Iterable[Subnet], *, ipv4: bool, ipv6: bool) -> list[str]:
    """Return what is wrong with *subnets*, in Docker's words; families that are off pass."""
    wrong: list[str] = []
    for subnet in subnets:
        try:
            address, network = _split(subnet.cidr)
        except ValueError:
            wrong.append(f"invalid subnet {subnet.cidr}: invalid CIDR block notation")
            continue
        if not (ipv6 if network.version == 6 else ipv4):
            continue
        if address != network.network_address:
            wrong.append(f"invalid subnet {subnet.cidr}: it should be {network}")
        wrong += _check_range(subnet.ip_range, network)
        named = [("gateway", subnet.gateway, subnet.gateway)] if subnet.gateway else []
        named += [("auxiliary address", name, a) for name, a in subnet.auxiliary.items()]
        for what, name, text in named:
            if problem := _check_address(text, network):
                wrong.append(f"invalid {what} {name}: {problem}")
    return wrong


def refuse_reserved(subnet: Subnet) -> None:
    """Refuse a gateway or an auxiliary address that cannot be had: reserved, or given twice.

    Raises: Forbidden, with Docker's sentences.
    """
    network = ipaddress.ip_network(subnet.cidr)
    taken: dict[IPAddress, str] = {}
    if network.version == 4 and network.prefixlen < network.max_prefixlen - 1:
        taken[network.network_address] = f"it is the address of {network} itself"
        taken[network.broadcast_address] = f"it is the broadcast address of {network}"
    for name, address in (
        ("", gateway_of(subnet)),
        *((name, ipaddress.ip_address(text)) for name, text in subnet.auxiliary.items()),
    ):
        if address in taken:
            what = f"secondary ip address ({name}:{address})" if name else f"gateway ({address})"
            raise Forbidden(
                f"failed to allocate {what}: Address already in use", hint=taken[address]
            )
        taken[address] = f"it is the auxiliary address {name}" if name else "it is the gateway"


def _split(cidr: str) -> tuple[IPAddress, IPNetwork]:
    if "/" not in cidr:
        message = f"no prefix length: {cidr}"
        raise ValueError(message)
    interface = ipaddress.ip_interface(cidr)
    return interface.ip, interface.network


def _check_range(text: str, parent: IPNetwork) -> Iterator[str]:
    if not text:
        return
    try:
        address, inner = _split(text)
    except ValueError:
        yield f"invalid ip-range {text}: invalid CIDR block notation"
        return
    if inner.version != parent.version:
        yield f"invalid ip-range {text}: parent subnet is an IPv{parent.version} block"
        return
    if inner.prefixlen < parent.prefixlen:
        yield f"invalid ip-range {text}: CIDR block is bigger than its parent subnet {parent}"
    if address != inner.network_address:
        yield f"invalid ip-range {text}: it should be {inner}"
    if not parent.overlaps(inner):
        yield f"invalid ip-range {text}: parent subnet {parent} doesn't contain ip-range"


def _check_address(text: str, parent: IPNetwork) -> str:
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        return "invalid address"
    if address.version != parent.version:
        return f"parent subnet is an IPv{parent.version} block"
    if address not in parent:
        return f"parent subnet {parent} doesn't contain this address"
    return ""


def refuse_overlap(wanted: IPNetwork, others: Iterable[tuple[str, IPNetwork]]) -> None:
    """Refuse a subnet that overlaps one of *others* (name, subnet).

    Raises: Forbidden, with Docker's sentence and the name of the other network.
    """
    for name, other in others:
        if other.version == wanted.version and other.overlaps(wanted):
            raise Forbidden(
                "invalid pool request: Pool overlaps with other one on this address space",
                hint=f"{wanted} overlaps {other} of network {name}",
            )


def claim_address(pools: Iterable[Pool], text: str) -> tuple[Pool, IPAddress]:
    """Take the address *text* from the pool that holds it.

    Raises: InvalidParameter (no pool holds it), Forbidden (in use).
    """
    address = ipaddress.ip_address(text)
    for pool in pools:
        if address in pool:
            if not pool.claim(address):
                raise Forbidden(
                    "Address already in use", hint=f"{address} is taken in {pool.network}"
                )
            return pool, address
    raise InvalidParameter(f"no configured subnet contains IP address {text}")


def mac_for(address: IPAddress) -> str:
    """Return the Ethernet address that goes with *address*: the same one every time.

    So a neighbour's ARP cache stays true when an address is used again.
    """
    tail = address.packed[-4:] if address.version == 4 else address.packed[-5:]
    head = b"\x02\x42" if address.version == 4 else b"\x06"
    return (head + tail).hex(":")
