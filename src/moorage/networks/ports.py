"""Published ports: what the user wrote, and who holds which port of this host.

A port is held by a socket that is bound but never listens: a program of the host cannot take it
meanwhile, and one that has it already is noticed. Traffic never reaches the socket, nftables
translates it before.
"""

from __future__ import annotations

import errno
import ipaddress
import socket
from collections.abc import Iterable, Mapping
from contextlib import suppress
from typing import Final

from msgspec import Struct

from moorage.lib.errors import InvalidParameter, System
from moorage.spec.engine.hostconfig import PortBinding

_KINDS: Final = {"tcp": socket.SOCK_STREAM, "udp": socket.SOCK_DGRAM, "sctp": socket.SOCK_STREAM}
_IPPROTO_SCTP: Final = 132
_ANY4: Final = "0.0.0.0"  # noqa: S104 - Docker's word for every address
_ANY6: Final = "::"
_EPHEMERAL: Final = "/proc/sys/net/ipv4/ip_local_port_range"


class PortTaken(System):
    """A host port is another's; *owner* is the container that holds it, if one does."""

    def __init__(
        self, message: str, *, protocol: str = "", port: int = 0, owner: str = "", hint: str = ""
    ) -> None:
        super().__init__(message, hint=hint or (f"container {owner} holds it" if owner else None))
        self.protocol = protocol
        self.port = port
        self.owner = owner


class Wish(Struct, frozen=True, kw_only=True):
    """One port the user wants published."""

    protocol: str
    port: int  # inside
    host_ip: str = ""  # "" = every address
    first: int = 0  # of the host's range; 0 = any free port
    last: int = 0


def parse_port(text: str) -> tuple[int, str]:
    """Parse ``80/tcp``.

    Raises: InvalidParameter.
    """
    number, _, protocol = text.partition("/")
    protocol = (protocol or "tcp").lower()
    if protocol not in _KINDS:
        raise InvalidParameter(f"invalid port specification: {text}: invalid proto: {protocol}")
    if not number.isascii() or not number.isdecimal() or not 0 < int(number) < 1 << 16:
        raise InvalidParameter(f"invalid port specification: {text}: invalid port: {number}")
    return int(number), protocol


def parse_host_port(text: str) -> tuple[int, int]:
    """Parse ``8080``, ``8000-8010`` or nothing (any).

    Raises: InvalidParameter.
    """
    if not text or text == "0":
        return 0, 0
    first, dash, last = text.partition("-")
    numbers = [first, last] if dash else [first]
    if not all(n.isascii() and n.isdecimal() and 0 < int(n) < 1 << 16 for n in numbers):
        raise InvalidParameter(f"invalid port specification: {text}: invalid host port")
    low, high = int(numbers[0]), int(numbers[-1])
    if high < low:
        raise InvalidParameter(
            f"invalid port specification: {text}: the range ends before it begins"
        )
    return low, high


def wishes(
    bindings: Mapping[str, list[PortBinding] | None], exposed: Iterable[str], *, publish_all: bool
) -> list[Wish]:
    """Return what is to be published.

    Raises: InvalidParameter.
    """
    found: list[Wish] = []
    for key, hosts in bindings.items():
        port, protocol = parse_port(key)
        for host in hosts or []:
            first, last = parse_host_port(host.host_port)
            if host.host_ip:
                _check_ip(host.host_ip)
            found.append(
                Wish(protocol=protocol, port=port, host_ip=host.host_ip, first=first, last=last)
            )
    if publish_all:
        named = {(w.port, w.protocol) for w in found}
        for key in exposed:
            port, protocol = parse_port(key)
            if (port, protocol) not in named:
                found.append(Wish(protocol=protocol, port=port))
    return sorted(found, key=lambda w: (w.protocol, w.port))


def _check_ip(text: str) -> None:
    try:
        ipaddress.ip_address(text)
    except ValueError as error:
        raise InvalidParameter(f"invalid host IP address: {text}") from error


class _Holder(Struct, frozen=True):
    owner: str  # a container's name
    socket: socket.socket | None  # None: what could not be held, of a container that was there

    def close(self) -> None:
        if self.socket is not None:
            self.socket.close()


class HostPorts:
    """The ports of this host that containers hold.

    Only used on the event loop: no call waits.
    """

    def __init__(self) -> None:
        self._held: dict[tuple[str, int], dict[str, _Holder]] = {}
        self._next = _ephemeral_range()[0]

    def take(self, wish: Wish, addresses: list[str], *, owner: str) -> int:
        """Hold one host port of *wish* on all *addresses* for a container; return its number.

        Raises: PortTaken (by another container or a program of the host), System.
        """
        if wish.first and wish.first == wish.last:
            self._hold_all(wish.protocol, wish.first, addresses, owner)
            return wish.first
        low, high = (wish.first, wish.last) if wish.first else _ephemeral_range()
        start = low if wish.first else max(low, min(self._next, high))
        for offset in range(high - low + 1):
            port = low + (start - low + offset) % (high - low + 1)
            try:
                self._hold_all(wish.protocol, port, addresses, owner)
            except System:
                continue
            if not wish.first:
                self._next = port + 1 if port < high else low
            return port
        raise PortTaken(
            f"Bind for {addresses[0]}:{low}-{high} failed: all ports are allocated",
            hint="free a port of the range, or give a wider one",
        )

    def _hold_all(self, protocol: str, port: int, addresses: list[str], owner: str) -> None:
        done: list[str] = []
        try:
            for address in addresses:
                self.hold(protocol, address, port, owner=owner)
                done.append(address)
        except BaseException:
            for address in done:
                self.free(protocol, address, port)
            raise

    def hold(
        self, protocol: str, address: str, port: int, *, owner: str, adopt: bool = False
    ) -> None:
        """Hold one port on one address; with *adopt* a program of the host may be in the way.

        Raises: PortTaken, System.
        """
        holders = self._held.setdefault((protocol, port), {})
        shown = f"[{address}]:{port}" if ":" in address else f"{address}:{port}"
        for other, holder in holders.items():
            if _clash(address, other):
                raise PortTaken(
                    f"Bind for {shown} failed: port is already allocated", owner=holder.owner
                )
        try:
            holders[address] = _Holder(owner, _bind(protocol, address, port))
        except OSError as error:
            if adopt:
                holders[address] = _Holder(owner, None)
                return
            if not holders:
                del self._held[protocol, port]
            message = f"failed to bind host port {shown}/{protocol}"
            if error.errno == errno.EADDRINUSE:
                raise PortTaken(
                    f"{message}: address already in use",
                    protocol=protocol,
                    port=port,
                    hint="another program of this host listens there",
                ) from error
            raise System(f"{message}: {error.strerror}") from error

    def listener(self, protocol: str, address: str, port: int) -> socket.socket | None:
        """Return the socket that holds a port; None if it is held by somebody else's."""
        holders = self._held.get((protocol, port), {})
        holder = holders.get(address)
        if holder is not None and holder.socket is None:
            with suppress(OSError):
                holder = holders[address] = _Holder(holder.owner, _bind(protocol, address, port))
        return holder.socket if holder is not None else None

    def free(self, protocol: str, address: str, port: int) -> None:
        """Let go of a port; one that is not held is fine."""
        holders = self._held.get((protocol, port))
        if holders is None:
            return
        if (holder := holders.pop(address, None)) is not None:
            holder.close()
        if not holders:
            del self._held[protocol, port]

    def close(self) -> None:
        """Let go of all sockets; the rules that translate stay."""
        for holders in self._held.values():
            for holder in holders.values():
                holder.close()
        self._held.clear()


def _clash(one: str, other: str) -> bool:
    if (":" in one) != (":" in other):
        return False
    return one == other or one in {_ANY4, _ANY6} or other in {_ANY4, _ANY6}


def _bind(protocol: str, address: str, port: int) -> socket.socket | None:
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    number = _IPPROTO_SCTP if protocol == "sctp" else 0
    try:
        held = socket.socket(family, _KINDS[protocol] | socket.SOCK_CLOEXEC, number)
    except OSError as error:
        # A kernel without SCTP translates it all the same; nobody here could take the port then.
        if protocol == "sctp" and error.errno in {errno.EPROTONOSUPPORT, errno.ESOCKTNOSUPPORT}:
            return None
        raise
    try:
        if family == socket.AF_INET6:
            held.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        try:
            held.bind((address, port))
        except OSError as error:
            if error.errno != errno.EADDRINUSE or protocol != "tcp":
                raise
            # Closed connections of an earlier server (TIME_WAIT) are in nobody's way.
            held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            held.bind((address, port))
            held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 0)
    except BaseException:
        held.close()
        raise
    return held


def _ephemeral_range() -> tuple[int, int]:
    try:
        with open(_EPHEMERAL, encoding="ascii") as file:
            low, high = file.read().split()
    except OSError:
        return 49153, 65535
    return int(low), int(high)
