"""This host's part in a cluster: its leases, what it tells, and what it learns of the others."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterable
from typing import Final, Protocol, TypeVar

import msgspec

from moorage.cluster import etcd
from moorage.lib import clock
from moorage.lib.errors import MoorageError
from moorage.networks.drivers.overlay.records import Keys, Member, Node
from moorage.networks.records import NetworkRecord

log = logging.getLogger(__name__)

T = TypeVar("T")

_RETRY_S: Final = 1.0
_FENCE_SHARE: Final = 0.9  # of the addresses' lease: before the store can end it


class Listener(Protocol):
    """Who acts on what is learned (the driver). Nothing here may wait."""

    def network_appeared(self, network: NetworkRecord) -> None:
        """A network was made on some host."""

    def network_gone(self, network_id: str) -> None:
        """A network was removed on some host."""

    def member_appeared(self, member: Member) -> None:
        """A container joined a network, or changed; it may be one of this host."""

    def member_gone(self, member: Member) -> None:
        """A container left, or its host is dead."""

    def address_taken(self, network_id: str, address: str, node_id: str) -> None:
        """An address is in use."""

    def address_free(self, network_id: str, address: str) -> None:
        """An address is free."""

    def nodes_changed(self) -> None:
        """A host came, went or moved."""

    def own(self) -> Iterable[Member]:
        """Return the containers of this host that are on overlay networks."""

    def confirmed(self) -> None:
        """The store has renewed this host's leases, or given it new ones."""

    def fence(self) -> None:
        """Cut the overlay networks of this host off: its addresses may soon be others'."""

    def unfence(self) -> None:
        """Take part again; the addresses have been confirmed."""

    def evicted(self, member: Member, address: str) -> None:
        """An address of this host's container has become another host's: give it up."""


class Membership:
    """Keeps leases alive, publishes what is this host's, watches what is the others'."""

    def __init__(
        self,
        store: etcd.Etcd,
        keys: Keys,
        node: Node,
        listener: Listener,
        *,
        ttl_s: int,
        address_ttl_s: int,
    ) -> None:
        self.etcd = store
        self.keys = keys
        self.node = node
        self.nodes: dict[str, Node] = {}
        self.members: dict[str, Member] = {}  # by key
        self.networks: dict[str, NetworkRecord] = {}  # by id
        self._taken: dict[str, str] = {}  # address key: node
        self._listener = listener
        self._ttl_s = ttl_s
        self._address_ttl_s = address_ttl_s
        self._lease = 0
        self._address_lease = 0
        self._registered = False  # all of this host is published with the leases it has
        self._holders: dict[str, str] = {}  # address key: the endpoint of this host it is for
        self._registering = asyncio.Lock()
        self.confirmed = clock.monotonic()  # when the addresses' lease was last known alive
        self._fenced: bool | None = None  # None: whoever ran before may have done it

    # -- what is this host's

    async def register(self) -> None:
        """Take leases and publish this host with its containers.

        Raises: Unavailable, System.
        """
        async with self._registering:
            await self._register()

    async def _register(self) -> None:
        started = clock.monotonic()
        self._registered = False  # if this fails half-way it is all to be done again
        if not self._address_lease or not await self.etcd.renew(self._address_lease):
            self._address_lease = await self.etcd.grant(self._address_ttl_s)
        self._lease = await self.etcd.grant(self._ttl_s)
        await self.etcd.put(etcd.Put(self.keys.node(self.node.id), _encode(self.node), self._lease))
        for member in list(self._listener.own()):
            for address in member.addresses:
                if not await self._take(member.network, address, member.endpoint):
                    self._listener.evicted(member, address)
            await self._tell(member)
            if member.endpoint not in {own.endpoint for own in self._listener.own()}:
                await self._withdraw_all(member)  # it left while it was being told of
        self._registered = True
        self._confirm(started)

    async def _withdraw_all(self, member: Member) -> None:
        await self.withdraw(member.network, member.container)
        for address in member.addresses:
            await self.free_address(member.network, address, member.endpoint)

    async def _with_lease(self, write: Callable[[], Awaitable[T]]) -> T:
        """Write with a lease of this host; one that has ended unnoticed is replaced first."""
        written_with = self.leases
        try:
            return await write()
        except etcd.LeaseEnded:
            async with self._registering:
                if self.leases == written_with:  # nobody else was quicker
                    await self._register()
            return await write()

    @property
    def is_confirmed(self) -> bool:
        """Whether the addresses are known to be this host's, so that tunnels may be up."""
        return self._fenced is False

    @property
    def leases(self) -> list[int]:
        """The leases of the host and of its addresses; none before it is registered."""
        return [self._lease, self._address_lease] if self._lease else []

    @property
    def pace_s(self) -> float:
        """The time from one renewal to the next."""
        return self._ttl_s / 3

    @property
    def limit_s(self) -> float:
        """The time without a renewal after which the addresses may not be used for long."""
        return self._address_ttl_s * _FENCE_SHARE - 2 * self.pace_s  # the next try, and its end

    async def take_address(self, network_id: str, address: str, endpoint_id: str) -> bool:
        """Make an address this host's, for an endpoint; False if it is another host's."""
        return await self._with_lease(lambda: self._take(network_id, address, endpoint_id))

    async def _take(self, network_id: str, address: str, endpoint_id: str) -> bool:
        key = self.keys.address(network_id, address)
        self._holders[key] = endpoint_id
        taken = False
        try:
            taken = await self._enter_address(key)
        finally:
            if not taken:  # or not known to be: then it is swept up later
                self._holders.pop(key, None)
        return taken

    async def _enter_address(self, key: str) -> bool:
        put = etcd.Put(key, self.node.id.encode(), self._address_lease)
        if await self.etcd.commit([put], absent=[key]):
            return True
        entry = await self.etcd.get(key)
        if entry is None or entry.value.decode() != self.node.id:
            return False
        return await self.etcd.commit([put], unchanged={key: entry.revision})

    async def free_address(self, network_id: str, address: str, endpoint_id: str) -> None:
        """Give an endpoint's address back, unless it is another endpoint's or host's by now."""
        key = self.keys.address(network_id, address)
        if self._holders.get(key, endpoint_id) == endpoint_id:
            self._holders.pop(key, None)
            await self._drop_address(key)

    async def _drop_address(self, key: str) -> None:
        entry = await self.etcd.get(key)
        if entry is None or entry.value.decode() != self.node.id or key in self._holders:
            return
        await self.etcd.commit([], unchanged={key: entry.revision}, deletes=[key])

    async def publish(self, member: Member) -> None:
        """Tell of a container of this host."""
        await self._with_lease(lambda: self._tell(member))

    async def _tell(self, member: Member) -> None:
        key = self.keys.endpoint(member.network, member.container)
        await self.etcd.put(etcd.Put(key, _encode(member), self._lease))

    async def withdraw(self, network_id: str, container_id: str) -> None:
        """Tell that a container of this host has left a network."""
        await self.etcd.delete(self.keys.endpoint(network_id, container_id))

    async def _sweep(self) -> None:
        """Take back what the store could not be told of: containers and addresses long gone."""
        own = list(self._listener.own())
        here = {self.keys.endpoint(member.network, member.container) for member in own}
        held = {self.keys.address(m.network, address) for m in own for address in m.addresses}
        for key, member in list(self.members.items()):
            if member.node == self.node.id and key not in here:
                await self._drop_member(key)
        for key, node_id in list(self._taken.items()):
            if node_id == self.node.id and key not in held | self._holders.keys():
                await self._drop_address(key)

    async def _drop_member(self, key: str) -> None:
        entry = await self.etcd.get(key)
        own = self._listener.own()
        if entry is None or any(self.keys.endpoint(m.network, m.container) == key for m in own):
            return
        await self.etcd.commit([], unchanged={key: entry.revision}, deletes=[key])

    async def retire(self) -> None:
        """End this host's leases: it leaves in an orderly way."""
        for lease in filter(None, (self._lease, self._address_lease)):
            await self.etcd.revoke(lease)

    async def keep_alive(self) -> None:
        """Renew the leases for ever; register anew when they have ended."""
        started = clock.monotonic()
        while True:
            await asyncio.sleep(started + self.pace_s - clock.monotonic())
            started = clock.monotonic()
            try:
                async with asyncio.timeout(self.pace_s):
                    alive = self._registered and await self.etcd.renew(self._lease)
                    alive = alive and await self.etcd.renew(self._address_lease)
                if alive:
                    self._confirm(started)
                else:
                    log.warning("the cluster has given this host up; registering anew")
                    await self.register()
            except (MoorageError, OSError) as error:
                log.warning("cluster store: %s", str(error) or "it did not answer in time")

    async def fence_in_time(self) -> None:
        """Cut this host off, for ever again, when its leases were not renewed for too long."""
        while True:
            left_s = self.confirmed + self.limit_s - clock.monotonic()
            if left_s < 0 and not self._fenced:
                log.warning("cut off from the cluster for too long: overlay networks are stopped")
                self._fenced = True
                self._listener.fence()
            await asyncio.sleep(left_s if left_s > 0 else self.pace_s)

    def _confirm(self, when: float) -> None:
        self.confirmed = when
        if self._fenced is not False:
            self._fenced = False
            self._listener.unfence()
        self._listener.confirmed()

    # -- what is the others'

    async def follow(self) -> None:
        """Learn all there is and then every change, for ever."""
        while True:
            try:
                revision = await self.refresh()
                await self._sweep()
                async for changes in self.etcd.watch(self.keys.all, revision + 1):
                    for change in changes:
                        self._apply(change)
            except (MoorageError, OSError) as error:
                log.info("watching the cluster store: %s", error)
                await asyncio.sleep(_RETRY_S)

    async def refresh(self) -> int:
        """Learn all there is; return the moment it was so.

        Raises: Unavailable.
        """
        snapshot = await self.etcd.under(self.keys.all)
        present = {entry.key for entry in snapshot.entries}
        known = [
            *(self.keys.network(n) for n in self.networks),
            *self.members,
            *self._taken,
            *(self.keys.node(n) for n in self.nodes),
        ]
        for key in known:
            if key not in present:
                self._apply(etcd.Change(key, None))
        for entry in sorted(
            snapshot.entries, key=lambda e: not e.key.startswith(self.keys.networks)
        ):
            self._apply(etcd.Change(entry.key, entry.value))
        return snapshot.revision

    def _apply(self, change: etcd.Change) -> None:
        try:
            if change.key.startswith(self.keys.networks):
                self._apply_network(change)
            elif change.key.startswith(self.keys.nodes):
                self._apply_node(change)
            elif change.key.startswith(self.keys.endpoints):
                self._apply_member(change)
            elif change.key.startswith(self.keys.addresses):
                self._apply_address(change)
        except (msgspec.DecodeError, ValueError) as error:
            log.warning("%s in the cluster store makes no sense: %s", change.key, error)

    def _apply_network(self, change: etcd.Change) -> None:
        network_id = change.key.removeprefix(self.keys.networks)
        if change.value is None:
            if self.networks.pop(network_id, None) is not None:
                self._listener.network_gone(network_id)
        elif network_id not in self.networks:
            network = msgspec.json.decode(change.value, type=NetworkRecord)
            self.networks[network_id] = network
            self._listener.network_appeared(network)

    def _apply_node(self, change: etcd.Change) -> None:
        node_id = change.key.removeprefix(self.keys.nodes)
        if change.value is None:
            self.nodes.pop(node_id, None)
        else:
            self.nodes[node_id] = msgspec.json.decode(change.value, type=Node)
        self._listener.nodes_changed()

    def _apply_member(self, change: etcd.Change) -> None:
        if change.value is None:
            member = self.members.pop(change.key, None)
            if member is not None:
                self._listener.member_gone(member)
            return
        member = msgspec.json.decode(change.value, type=Member)
        old = self.members.get(change.key)
        if old == member:
            return
        if old is not None and (old.node, old.mac) != (member.node, member.mac):
            self._listener.member_gone(old)
        self.members[change.key] = member
        self._listener.member_appeared(member)

    def _apply_address(self, change: etcd.Change) -> None:
        network_id, _, address = change.key.removeprefix(self.keys.addresses).partition("/")
        if change.value is None:
            self._taken.pop(change.key, None)
            self._listener.address_free(network_id, address)
        else:
            self._taken[change.key] = change.value.decode()
            self._listener.address_taken(network_id, address, change.value.decode())


def _encode(value: Node | Member) -> bytes:
    return msgspec.json.encode(value)
