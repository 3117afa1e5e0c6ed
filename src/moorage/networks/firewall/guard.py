"""Who a container may say it is: only who it is. Pure: owners go in, nft commands come out.

Neighbours believe whoever answers ARP or a neighbour solicitation. A container has CAP_NET_RAW, and
could answer for its gateway or for another container. So what a *confined* port says of itself is
compared with what it was given; and the bridge knows from the start where each Ethernet address
lives (``sandbox.PortPlan``), so that nobody can draw another's packets by speaking in its name.

A container that was given CAP_NET_ADMIN is not confined: it may take more addresses, as keepalived
does, and be a bridge for others. Other packets are not looked at, here or anywhere.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable
from typing import Final

from msgspec import Struct

_LINK_LOCAL: Final = int(ipaddress.IPv6Address("fe80::"))


class Owner(Struct, frozen=True, kw_only=True):
    """A confined port of a bridge, and the addresses that are its container's."""

    port: str
    mac: str
    addresses: tuple[str, ...]


def own_link_local(mac: str) -> str:
    """Return the IPv6 address that an interface makes of its Ethernet address (RFC 4291, A)."""
    raw = bytes.fromhex(mac.replace(":", ""))
    tail = bytes((raw[0] ^ 2, *raw[1:3], 0xFF, 0xFE, *raw[3:]))
    return str(ipaddress.IPv6Address(_LINK_LOCAL | int.from_bytes(tail, "big")))


def skeleton(beginnings: Iterable[str]) -> str:
    """Return the sets and chains of the bridge table, for ports whose names begin so.

    An address that is looked for is a number to nft, whence the third set.
    """
    jumps = [f'iifname "{name}*" jump' for name in beginnings]
    arp = "\n".join(f"    {jump} arp_sender" for jump in jumps)
    ndp = "\n".join(f"    {jump} ndp_sender" for jump in jumps)
    return f"""  set own4 {{ type ifname . ether_addr . ipv4_addr; }}
  set own6 {{ type ifname . ipv6_addr; }}
  set own6_target {{ typeof iifname . @th,64,128; }}
  chain arp_sender {{
    iifname . arp saddr ether . arp saddr ip @own4 accept
    arp operation request arp saddr ip 0.0.0.0 accept
    counter drop
  }}
  chain ndp_sender {{
    icmpv6 type nd-neighbor-advert iifname . @th,64,128 @own6_target accept
    icmpv6 type != nd-neighbor-advert iifname . ip6 saddr @own6 accept
    icmpv6 type != nd-neighbor-advert ip6 saddr :: accept
    counter drop
  }}
  chain arp_from {{
{arp}
  }}
  chain ndp_from {{
{ndp}
  }}"""


def add(table: str, owners: Iterable[Owner]) -> str:
    """Return the commands that let *owners* speak for themselves."""
    return _elements("add", table, owners)


def remove(table: str, owners: Iterable[Owner]) -> str:
    """Return the commands that undo ``add``."""
    return _elements("delete", table, owners)


def _elements(verb: str, table: str, owners: Iterable[Owner]) -> str:
    found: dict[str, list[str]] = {}
    for owner in owners:
        port = f'"{owner.port}"'
        for text in owner.addresses:
            if ":" in text:
                number = int(ipaddress.IPv6Address(text))
                found.setdefault("own6", []).append(f"{port} . {text}")
                found.setdefault("own6_target", []).append(f"{port} . {number:#034x}")
            else:
                found.setdefault("own4", []).append(f"{port} . {owner.mac} . {text}")
    return "\n".join(
        f"{verb} element bridge {table} {name} {{ {', '.join(keys)} }}"
        for name, keys in found.items()
    )
