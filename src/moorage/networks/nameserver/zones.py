"""Who is called what on which network, and what one sandbox may see of it. Pure."""

from __future__ import annotations

from typing import Final, NamedTuple

from moorage.networks.nameserver import message

HOST_NAMES: Final = frozenset({"host.docker.internal", "gateway.docker.internal"})
TTL_S: Final = 10  # containers come and go
_ROTATIONS: Final = 16


class Found(NamedTuple):
    """The addresses of a name that exists."""

    addresses: list[str]


class Zone:
    """The names of one network."""

    def __init__(self, name: str) -> None:
        self.name = name.lower()
        self.members: dict[str, tuple[list[str], list[str]]] = {}  # container: (names, addresses)
        self.by_name: dict[str, dict[str, list[str]]] = {}  # name: container: addresses
        self.by_address: dict[str, str] = {}  # address: the container's first name

    def set(self, container: str, names: list[str], addresses: list[str]) -> None:
        """Add a container or change its names."""
        self.drop(container)
        lowered = [name.lower() for name in names]
        self.members[container] = (lowered, addresses)
        for name in lowered:
            self.by_name.setdefault(name, {})[container] = addresses
        for address in addresses:
            if lowered:
                self.by_address[address] = lowered[0]

    def drop(self, container: str) -> None:
        """Remove a container; one that is unknown is fine."""
        names, addresses = self.members.pop(container, ([], []))
        for name in names:
            holders = self.by_name.get(name)
            if holders is not None:
                holders.pop(container, None)
                if not holders:
                    del self.by_name[name]
        for address in addresses:
            self.by_address.pop(address, None)

    def find(self, name: str) -> Found | None:
        """Return the addresses of *name*, plain or with the network's name behind it."""
        holders = self.by_name.get(name)
        if holders is None and name.endswith(f".{self.name}"):
            holders = self.by_name.get(name[: -len(self.name) - 1])
        if holders is None:
            return None
        return Found([address for addresses in holders.values() for address in addresses])


class View:
    """What one sandbox sees: its networks in order, its own aliases, the way to its host."""

    def __init__(
        self,
        networks: list[str],
        links: dict[str, dict[str, str]],
        host: list[str],
    ) -> None:
        self.networks = networks
        self.links = links  # network: alias: name
        self.host = host

    def find(self, zones: dict[str, Zone], name: str) -> Found | None:
        """Return the addresses of *name*; None if it is nobody's here."""
        for network in self.networks:
            zone = zones.get(network)
            if zone is None:
                continue
            target = self.links.get(network, {}).get(name)
            if target is not None and (linked := zone.find(target)) is not None:
                return linked
            if (found := zone.find(name)) is not None:
                return found
        if self.host and name in HOST_NAMES:
            return Found(self.host)
        return None

    def find_address(self, zones: dict[str, Zone], address: str) -> str | None:
        """Return the full name of who has *address* on one of the networks."""
        for network in self.networks:
            zone = zones.get(network)
            if zone is not None and (name := zone.by_address.get(address)) is not None:
                return f"{name}.{zone.name}"
        return None


def resolve(view: View, zones: dict[str, Zone], query: message.Query) -> list[bytes] | None:
    """Return all turns of the answer to *query*; None if it is not ours to answer.

    A name that is known here is never asked of others, whatever the kind of the question: that
    would tell strangers the names of containers, and their "no such name" would win over ours.
    """
    if query.kind == message.PTR:
        address = message.reverse_address(query.name)
        name = view.find_address(zones, address) if address else None
        if name is None:
            return None
        return [
            message.answer(
                query,
                message.NOERROR,
                [message.record(message.PTR, message.pack_name(name), TTL_S)],
            )
        ]
    found = view.find(zones, query.name)
    if found is None:
        return None
    wanted = [
        text
        for text in found.addresses
        if query.kind in {message.AAAA if ":" in text else message.A, message.ANY}
    ]
    records = [message.address_record(text, TTL_S) for text in wanted]
    turns = range(min(len(records), _ROTATIONS) or 1)
    return [message.answer(query, message.NOERROR, records[n:] + records[:n]) for n in turns]
