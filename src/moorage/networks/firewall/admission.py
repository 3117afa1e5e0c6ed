"""``"host-firewall": "accept"``: packets of containers pass the host's other forward chains.

By default they do not: in nftables a *drop* in any table is final, so a firewall that drops what is
forwarded (ufw, firewalld) decides about published ports and about containers' way out too. With
``accept``, our table marks the packets of its bridges before anybody else looks at them, and one
rule at the head of every other forward chain accepts what is marked. Our own forward chain still
drops what must not pass. The rules bear a comment, by which they are found and taken away again.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

import msgspec
from msgspec import Struct, field

MARK: Final = 0x20000000
_FAMILIES: Final = frozenset({"ip", "ip6", "inet"})


class _Chain(Struct, frozen=True):
    family: str
    table: str
    name: str
    hook: str = ""


class _Comment(Struct, frozen=True):
    family: str
    table: str
    chain: str
    handle: int = 0
    comment: str = ""


class _Item(Struct, frozen=True):
    chain: _Chain | None = None
    rule: _Comment | None = None


class _Ruleset(Struct, frozen=True):
    nftables: list[_Item] = field(default_factory=list)


def marking(table: str) -> str:
    """Return the commands that mark the packets of our bridges."""
    mark = f"meta mark set meta mark or {MARK:#x}"
    return (
        f"add chain inet {table} admit {{ type filter hook forward priority -1; policy accept; }}\n"
        f"add rule inet {table} admit iifname @bridges {mark}\n"
        f"add rule inet {table} admit oifname @bridges {mark}"
    )


def missing(listing: str, table: str) -> str:
    """Return the commands that let marked packets pass where they do not yet.

    *listing* is the whole rule set in nft's JSON.
    """
    items = _decode(listing)
    have = {(r.family, r.table, r.chain) for r in _ours(items, table)}
    return "\n".join(
        f"insert rule {c.family} {c.table} {c.name} meta mark and {MARK:#x} == {MARK:#x}"
        f' counter accept comment "{table}"'
        for item in items
        if (c := item.chain) is not None
        and c.hook == "forward"
        and c.family in _FAMILIES
        and c.table != table
        and not c.table.startswith("moorage_")
        and (c.family, c.table, c.name) not in have
    )


def withdrawal(listing: str, table: str) -> str:
    """Return the commands that take our rules out of the others' chains."""
    return "\n".join(
        f"delete rule {r.family} {r.table} {r.chain} handle {r.handle}"
        for r in _ours(_decode(listing), table)
    )


def _ours(items: Iterable[_Item], table: str) -> list[_Comment]:
    return [item.rule for item in items if item.rule is not None and item.rule.comment == table]


def _decode(listing: str) -> list[_Item]:
    return msgspec.json.decode(listing, type=_Ruleset).nftables
