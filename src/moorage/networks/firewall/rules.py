"""The nftables rules of a daemon, as text. Pure: what is wanted goes in, commands come out.

Two tables, both named ``moorage_<instance>``, hold all of it. The way of a packet through
``inet``::

    from outside, another container          from this host
        |                                        |
    prerouting: dnat by the maps publish*     output: dnat by the same maps
        |                                        |
    forward:  established, or of one bridge -> accept
              from an internal network: dropped  |
              to one of our bridges: published or trusted, else dropped
        |                                        |
    postrouting: from a bridge to elsewhere -> masquerade; hairpin and 127.0.0.1 -> masquerade

Sets find a bridge and a port in constant time, however many networks there are. A network has one
chain of its own and no more: before each change the library reads every chain there is. ``bridge``
holds what must be decided between two ports of one bridge: router advertisements of containers are
dropped (CVE-2020-13401), nobody speaks for another (``guard``), ``enable_icc=false`` is enforced.

An *accept* here never overrides a *drop* of the host's own tables; see docs/networks.md.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import Final

from msgspec import Struct

from moorage.networks.firewall import admission, guard
from moorage.networks.firewall.guard import Owner

_NAME: Final = re.compile(r"[A-Za-z0-9_.:-]{1,15}\Z")


class NetworkRules(Struct, frozen=True, kw_only=True):
    """What one bridge needs."""

    tag: str  # short id of the network: the name of its chains
    bridge: str
    subnets: tuple[str, ...]
    internal: bool = False
    masquerade: bool = True
    source4: str = ""  # host address for outgoing traffic instead of the route's own
    source6: str = ""
    open4: bool = False  # direct routing from outside to any port (nat-unprotected)
    open6: bool = False
    routed4: bool = False  # no NAT; direct routing to published ports
    routed6: bool = False
    trusted: tuple[str, ...] = ()  # host interfaces that may route directly


class Published(Struct, frozen=True, kw_only=True):
    """One published port; *host* is ``0.0.0.0`` or ``::`` for every address of the host."""

    protocol: str  # tcp, udp, sctp
    host: str
    host_port: int
    container: str
    container_port: int
    routed: bool = False  # the network routes: open the port instead of translating it

    @property
    def forwarded(self) -> bool:
        """Whether a process forwards it, for the kernel does not translate between IP versions."""
        return (":" in self.host) != (":" in self.container)


class PortLink(Struct, frozen=True, kw_only=True):
    """One port that a linked container may use although ``enable_icc`` is false."""

    client: str
    server: str
    protocol: str
    port: int


class Wanted(Struct, kw_only=True):
    """All that the tables must hold; the keeper changes it and this module writes it."""

    networks: dict[str, NetworkRules] = {}
    published: dict[Published, None] = {}
    links: dict[PortLink, None] = {}
    owners: dict[Owner, None] = {}
    # Whether published ports are translated from [::1] too. Not where the bridge hands packets to
    # the inet rules itself (bridge-nf-call-ip6tables): the answers would come to ::1 from a wire,
    # which the kernel drops, and a client would wait instead of trying 127.0.0.1.
    loopback6: bool = True
    admit: bool = False  # mark packets for the host's other forward chains
    # UDP port of encrypted overlay networks -> the only interface where it may be used
    tunnels: dict[int, str] = {}


def interface(name: str) -> str:
    """Quote an interface name for nft.

    Raises: ValueError, for what could be read as more than a name.
    """
    if not _NAME.match(name):
        message = f"not an interface name: {name!r}"
        raise ValueError(message)
    return f'"{name}"'


def table_name(instance: str) -> str:
    """Return the name of both tables of a daemon."""
    return f"moorage_{instance}"


# The letter in a port's name: whether its network has ``enable_icc=false``, whether it is confined.
_LETTERS: Final = {(False, False): "p", (True, False): "s", (False, True): "c", (True, True): "d"}


def port_name(instance: str, endpoint_id: str, *, separate: bool, confined: bool) -> str:
    """Return the name of a container's bridge port.

    It says whose it is, whether its network has ``enable_icc=false`` (*separate*), and whether it
    may speak for itself alone (*confined*, see ``guard``): the rules go by the beginning of it.
    """
    return f"m{instance[:5]}{_LETTERS[separate, confined]}{endpoint_id[:8]}"


def whole(instance: str, wanted: Wanted) -> str:
    """Return the commands that replace both tables by what is *wanted*, atomically."""
    table = table_name(instance)
    parts = [
        f"add table inet {table}\ndelete table inet {table}",
        f"add table bridge {table}\ndelete table bridge {table}",
        _skeleton(table, instance[:5], "" if wanted.loopback6 else "ip6 daddr ::1 return"),
        *(guard_tunnel(table, port, device) for port, device in wanted.tunnels.items()),
    ]
    parts += [add_network(table, rules) for rules in wanted.networks.values()]
    if wanted.admit:
        parts.append(admission.marking(table))
    parts.append(publish(table, wanted.published))
    parts.append(add_links(table, wanted.links))
    parts.append(guard.add(table, wanted.owners))
    return "\n".join(filter(None, parts))


def remove_all(table: str) -> str:
    """Return the commands that remove both tables, whether they exist or not."""
    return "\n".join(
        f"add table {family} {table}\ndelete table {family} {table}"
        for family in ("inet", "bridge")
    )


def _skeleton(table: str, mark: str, loopback6: str) -> str:
    return f"""table inet {table} {{
  map publish4 {{ type inet_proto . ipv4_addr . inet_service : ipv4_addr . inet_service; }}
  map publish4_any {{ type inet_proto . inet_service : ipv4_addr . inet_service; }}
  map publish6 {{ type inet_proto . ipv6_addr . inet_service : ipv6_addr . inet_service; }}
  map publish6_any {{ type inet_proto . inet_service : ipv6_addr . inet_service; }}
  set routed4 {{ type inet_proto . ipv4_addr . inet_service; }}
  set routed6 {{ type inet_proto . ipv6_addr . inet_service; }}
  set bridges {{ type ifname; }}
  set internal {{ type ifname; }}
  set own {{ type ifname . ifname; }}
  set trusted {{ type ifname . ifname; }}
  set open4 {{ type ifname; }}
  set open6 {{ type ifname; }}
  set routing4 {{ type ifname; }}
  set routing6 {{ type ifname; }}
  map post {{ type ifname : verdict; }}
  chain raw {{
    type filter hook prerouting priority raw; policy accept;
    iifname @bridges ip daddr 127.0.0.0/8 counter drop
  }}
  chain tunnel_in {{
    type filter hook input priority filter; policy accept;
  }}
  chain tunnel_out {{
    type filter hook output priority filter; policy accept;
  }}
  chain published {{
    dnat ip to meta l4proto . ip daddr . th dport map @publish4
    dnat ip to meta l4proto . th dport map @publish4_any
    dnat ip6 to meta l4proto . ip6 daddr . th dport map @publish6
    dnat ip6 to meta l4proto . th dport map @publish6_any
  }}
  chain prerouting {{
    type nat hook prerouting priority dstnat; policy accept;
    iifname != "lo" ip daddr 127.0.0.0/8 return
    fib daddr type local jump published
  }}
  chain output {{
    type nat hook output priority -100; policy accept;
    {loopback6}
    fib daddr type local jump published
  }}
  chain inward {{
    oifname @internal counter drop
    ct status dnat accept
    iifname . oifname @trusted accept
    oifname @open4 meta nfproto ipv4 accept
    oifname @open6 meta nfproto ipv6 accept
    oifname @routing4 meta l4proto . ip daddr . th dport @routed4 accept
    oifname @routing4 meta l4proto icmp accept
    oifname @routing6 meta l4proto . ip6 daddr . th dport @routed6 accept
    oifname @routing6 meta l4proto ipv6-icmp accept
    counter drop
  }}
  chain forward {{
    type filter hook forward priority filter; policy accept;
    ct state established,related accept
    iifname . oifname @own accept
    iifname @internal counter drop
    oifname @bridges jump inward
  }}
  chain postrouting {{
    type nat hook postrouting priority srcnat; policy accept;
    oifname @bridges ip saddr 127.0.0.0/8 masquerade
    oifname @bridges ip6 saddr ::1 masquerade
    oifname vmap @post
    iifname vmap @post
  }}
}}
table bridge {table} {{
{guard.skeleton([f"m{mark}c", f"m{mark}d"])}
  set link_to {{ type ipv4_addr . ipv4_addr . inet_proto . inet_service; }}
  chain prerouting {{
    type filter hook prerouting priority -300; policy accept;
    ether type arp jump arp_from
    icmpv6 type {{ nd-router-solicit, nd-neighbor-solicit, nd-neighbor-advert }} jump ndp_from
    icmpv6 type {{ nd-router-advert, nd-redirect }} iifname "m{mark}*" counter drop
  }}
  chain separated {{
    ether type arp jump arp_from
    ip saddr . ip daddr . meta l4proto . th dport @link_to accept
    ip daddr . ip saddr . meta l4proto . th sport @link_to accept
    counter drop
  }}
  chain from_separate {{
    oifname "m{mark}s*" jump separated
    oifname "m{mark}d*" jump separated
  }}
  chain forward {{
    type filter hook forward priority -200; policy accept;
    iifname "m{mark}s*" jump from_separate
    iifname "m{mark}d*" jump from_separate
  }}
}}"""


def guard_tunnel(table: str, port: int, device: str) -> str:
    """Return the commands that shut a VXLAN port everywhere but on the encrypted *device*."""
    name = interface(device)
    return (
        f"add rule inet {table} tunnel_in iifname != {name} udp dport {port} counter drop\n"
        f"add rule inet {table} tunnel_out oifname != {name} udp dport {port} counter drop"
    )


def add_network(table: str, rules: NetworkRules) -> str:
    """Return the commands that make the chain of one bridge and enter it into the sets."""
    bridge, chain = interface(rules.bridge), f"post_{rules.tag}"
    lines = [f"add chain inet {table} {chain}"]

    def rule(text: str) -> None:
        lines.append(f"add rule inet {table} {chain} {text}")

    for subnet in rules.subnets:
        # A container that comes back to its own network through a published port must be
        # answered through this host; the source says so even where the bridge, not the router,
        # carried the packet (bridge-nf-call-iptables) and no incoming interface is known.
        rule(f"oifname {bridge} {_family(subnet)} saddr {subnet} ct status dnat masquerade")
    rule(f"oifname {bridge} return")
    if rules.masquerade and not rules.internal:
        for subnet in rules.subnets:
            family = _family(subnet)
            fixed, routed = (
                (rules.source6, rules.routed6)
                if family == "ip6"
                else (rules.source4, rules.routed4)
            )
            if not routed:
                action = f"snat {family} to {fixed}" if fixed else "masquerade"
                rule(f"{family} saddr {subnet} {action}")
    lines += [f"add element inet {table} {name} {{ {key} }}" for name, key in _places(rules)]
    lines.append(f"add element inet {table} post {{ {bridge} : jump {chain} }}")
    return "\n".join(lines)


def remove_network(table: str, rules: NetworkRules) -> str:
    """Return the commands that undo ``add_network``."""
    lines = [f"delete element inet {table} {name} {{ {key} }}" for name, key in _places(rules)]
    lines.append(f"delete element inet {table} post {{ {interface(rules.bridge)} }}")
    lines.append(f"delete chain inet {table} post_{rules.tag}")
    return "\n".join(lines)


def _places(rules: NetworkRules) -> Iterator[tuple[str, str]]:
    """Return the sets that a bridge is in, each with its key there."""
    bridge = interface(rules.bridge)
    yield "bridges", bridge
    yield "own", f"{bridge} . {bridge}"
    if rules.internal:
        yield "internal", bridge
        return
    for name in rules.trusted:
        yield "trusted", f"{interface(name)} . {bridge}"
    for name, wanted in (
        ("open4", rules.open4),
        ("open6", rules.open6),
        ("routing4", rules.routed4),
        ("routing6", rules.routed6),
    ):
        if wanted:
            yield name, bridge


def _family(subnet: str) -> str:
    return "ip6" if ":" in subnet else "ip"


def publish(table: str, ports: Iterable[Published]) -> str:
    """Return the commands that open *ports*."""
    return _elements("add", table, ports, with_target=True)


def unpublish(table: str, ports: Iterable[Published]) -> str:
    """Return the commands that close *ports*."""
    return _elements("delete", table, ports, with_target=False)


def _elements(verb: str, table: str, ports: Iterable[Published], *, with_target: bool) -> str:
    found: dict[str, list[str]] = {}
    for port in ports:
        if port.forwarded:
            continue
        version = "6" if ":" in port.container else "4"
        if port.routed:
            key = f"{port.protocol} . {port.container} . {port.container_port}"
            found.setdefault(f"routed{version}", []).append(key)
            continue
        if port.host in {"0.0.0.0", "::"}:  # noqa: S104 - compared, not bound
            name, key = f"publish{version}_any", f"{port.protocol} . {port.host_port}"
        else:
            name = f"publish{version}"
            key = f"{port.protocol} . {port.host} . {port.host_port}"
        if with_target:
            key += f" : {port.container} . {port.container_port}"
        found.setdefault(name, []).append(key)
    return "\n".join(
        f"{verb} element inet {table} {name} {{ {', '.join(keys)} }}"
        for name, keys in found.items()
    )


def add_links(table: str, links: Iterable[PortLink]) -> str:
    """Return the commands that let linked containers talk."""
    return _link_elements("add", table, links)


def remove_links(table: str, links: Iterable[PortLink]) -> str:
    """Return the commands that undo ``add_links``."""
    return _link_elements("delete", table, links)


def _link_elements(verb: str, table: str, links: Iterable[PortLink]) -> str:
    keys = [f"{x.client} . {x.server} . {x.protocol} . {x.port}" for x in links]
    return f"{verb} element bridge {table} link_to {{ {', '.join(keys)} }}" if keys else ""
