"""What a network driver is.

Vocabulary: a *network* is stored as a ``NetworkRecord``; an *endpoint* is a container's interface
on it; a *wire* is the plan by which ``networks.sandbox`` plugs that interface in.

The walk of a network: ``refresh`` (learn what others have made) → subnets are chosen → ``prepare``
(pure: check the options, name the device) → ``claim`` (make it ours before all others) → the record
is stored → ``create`` (kernel and firewall; also called for every stored network when the daemon
starts, so it must take what is already there) → … → ``disclaim`` (may refuse) → ``remove``.

The walk of an endpoint: ``create_endpoint`` (may change its addresses, may fail) → ``wire`` (pure)
→ the sandbox is plugged → ``joined`` → … → ``delete_endpoint`` (must not fail for what is gone).

A driver refuses with InvalidParameter what the user can mend, and leaves nothing behind when it
raises.
"""

from __future__ import annotations

from typing import Protocol

from moorage.networks.records import Endpoint, NetworkRecord
from moorage.networks.sandbox import Wire


class Driver(Protocol):
    """A kind of network."""

    name: str
    scope: str  # "local", or "global" for networks that span hosts
    addressed: bool  # endpoints have addresses of the network's pools
    translated: bool  # ports can be published, names are served, the gateway is this host
    foreign: bool  # a plugin: it makes no device by our hands, and may hang when it is asked

    async def refresh(self) -> None:
        """Learn of the networks of other hosts.

        Raises: Unavailable, Forbidden (no cluster).
        """

    async def claim(self, network: NetworkRecord) -> NetworkRecord | None:
        """Make a new network known to other hosts; None if its subnets must be chosen again."""

    async def disclaim(self, network: NetworkRecord) -> None:
        """Give up a network, unless others use it.

        Raises: Forbidden, Unavailable.
        """

    def prepare(self, network: NetworkRecord) -> NetworkRecord:
        """Check the options of a new network; fill in what follows from them.

        Raises: InvalidParameter.
        """

    async def create(self, network: NetworkRecord) -> NetworkRecord:
        """Make the network in the kernel, or take what is there; return it complete.

        Raises: InvalidParameter, Conflict, System.
        """

    async def remove(self, network: NetworkRecord) -> None:
        """Unmake the network; what is gone is fine."""

    def lost(self, network: NetworkRecord, device: str) -> bool:
        """Whether *device*, gone from the host, is one that ``create`` is to make again."""

    async def create_endpoint(
        self, network: NetworkRecord, endpoint: Endpoint, key: str
    ) -> Endpoint:
        """Make ready for *endpoint* of the namespace at *key*, and return it complete."""

    async def joined(
        self, network: NetworkRecord, container_id: str, name: str, endpoint: Endpoint
    ) -> None:
        """The endpoint is plugged in: packets may come."""

    async def delete_endpoint(
        self, network: NetworkRecord, container_id: str, endpoint: Endpoint
    ) -> None:
        """Forget *endpoint*; one that is unknown is fine."""

    def wire(self, network: NetworkRecord, endpoint: Endpoint, *, hairpin: bool) -> Wire | None:
        """Return how the endpoint's interface is plugged in; None if it has none."""


class LocalDriver:
    """The parts of a driver that have nothing to do where networks are this host's own."""

    foreign = False

    async def refresh(self) -> None:
        """Nothing to learn."""

    async def claim(self, network: NetworkRecord) -> NetworkRecord | None:
        """Nobody else to ask."""
        return network

    async def disclaim(self, network: NetworkRecord) -> None:
        """Nobody else to ask."""
        del network

    def lost(self, network: NetworkRecord, device: str) -> bool:
        """The network's own device is made again; one of the user's is not ours to make."""
        return network.own_device and device == network.device

    async def create_endpoint(
        self, network: NetworkRecord, endpoint: Endpoint, key: str
    ) -> Endpoint:
        """Nothing to do."""
        del network, key
        return endpoint

    async def joined(
        self, network: NetworkRecord, container_id: str, name: str, endpoint: Endpoint
    ) -> None:
        """Nobody to tell."""
        del network, container_id, name, endpoint

    async def delete_endpoint(
        self, network: NetworkRecord, container_id: str, endpoint: Endpoint
    ) -> None:
        """Nothing to do."""
        del network, container_id, endpoint
