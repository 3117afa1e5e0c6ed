"""A host's part in a cluster, with a store that fails between any two steps."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager
from ipaddress import ip_address

import pytest

from moorage.cluster.etcd import Put
from moorage.lib.errors import Unavailable
from moorage.networks.drivers.overlay.membership import Membership
from moorage.networks.drivers.overlay.records import Keys, Member, Node
from moorage.networks.records import NetworkRecord
from support.memorystore import MemoryStore

KEYS = Keys("moorage")
ADDRESS = KEYS.address("net", "10.0.0.2")


def member(container: str, *, node: str = "here") -> Member:
    return Member(
        network="net",
        container=container,
        node=node,
        name=container,
        mac="02:42:0a:00:00:02",
        endpoint=f"endpoint of {container}",
        ipv4="10.0.0.2",
    )


class Notes:
    """A listener that only keeps what it is told."""

    def __init__(self) -> None:
        self.mine: list[Member] = []
        self.lost: list[str] = []
        self.fenced = 0
        self.confirmations = 0

    def network_appeared(self, network: NetworkRecord) -> None: ...
    def network_gone(self, network_id: str) -> None: ...
    def member_appeared(self, member: Member) -> None: ...
    def member_gone(self, member: Member) -> None: ...
    def address_taken(self, network_id: str, address: str, node_id: str) -> None: ...
    def address_free(self, network_id: str, address: str) -> None: ...
    def nodes_changed(self) -> None: ...
    def unfence(self) -> None: ...

    def own(self) -> Iterable[Member]:
        return list(self.mine)

    def confirmed(self) -> None:
        self.confirmations += 1

    def fence(self) -> None:
        self.fenced += 1

    def evicted(self, member: Member, address: str) -> None:
        self.lost.append(f"{member.container} {address}")


class Host:
    """A membership with what it talks to."""

    def __init__(self) -> None:
        self.store = MemoryStore()
        self.notes = Notes()
        self.membership = Membership(
            self.store, KEYS, Node(id="here", name="here", address="10.77.0.1"), self.notes,
            ttl_s=1, address_ttl_s=2,
        )  # fmt: skip

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Keep its leases and follow the others meanwhile; neither may ever give up."""
        tasks = [
            asyncio.ensure_future(self.membership.follow()),
            asyncio.ensure_future(self.membership.keep_alive()),
        ]
        yield
        assert not any(task.done() for task in tasks)
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks)


async def until(condition: Callable[[], bool]) -> None:
    """Wait for what other tasks bring about."""
    async with asyncio.timeout(20):
        while not condition():  # noqa: ASYNC110 - there is no event for each of them
            await asyncio.sleep(0.005)


@pytest.fixture
def host() -> Host:
    return Host()


async def test_a_registration_that_broke_off_half_way_is_done_again(host: Host) -> None:
    host.notes.mine = [member("web")]
    key = KEYS.endpoint("net", "web")
    host.store.failing = {key}
    with pytest.raises(Unavailable):
        await host.membership.register()
    host.store.failing.clear()  # the lease that was granted is alive, and renewing it is not enough
    async with host.running():
        await until(lambda: key in host.store.keys)


async def test_renewals_go_on_when_the_store_is_back_before_the_watch_is(host: Host) -> None:
    await host.membership.register()
    async with host.running():
        await until(lambda: host.store.watches > 0)
        host.store.break_off()
        await until(lambda: host.store.failures > 3)
        host.store.failing = {KEYS.all}  # what the watch begins with
        confirmations = host.notes.confirmations
        await until(lambda: host.notes.confirmations > confirmations + 1)


async def test_an_address_that_is_anothers_by_now_is_not_freed(host: Host) -> None:
    await host.membership.register()
    assert await host.membership.take_address("net", "10.0.0.2", "old")
    entry = host.store.keys[ADDRESS]
    host.store.keys[ADDRESS] = type(entry)(ADDRESS, b"there", entry.revision + 1)
    await host.membership.free_address("net", "10.0.0.2", "old")
    assert host.store.keys[ADDRESS].value == b"there"


async def test_an_address_taken_again_is_not_freed_by_who_had_it_before(host: Host) -> None:
    await host.membership.register()
    assert await host.membership.take_address("net", "10.0.0.2", "old")
    assert await host.membership.take_address("net", "10.0.0.2", "new")
    await host.membership.free_address("net", "10.0.0.2", "old")
    assert ADDRESS in host.store.keys
    await host.membership.free_address("net", "10.0.0.2", "new")
    assert ADDRESS not in host.store.keys


async def test_what_left_while_the_store_was_away_is_swept_up(host: Host) -> None:
    host.notes.mine = [member("web")]
    await host.membership.register()
    key = KEYS.endpoint("net", "web")
    assert {key, ADDRESS} <= host.store.keys.keys()
    host.store.failing = {""}
    host.notes.mine.clear()
    for leave in (
        host.membership.withdraw("net", "web"),
        host.membership.free_address("net", "10.0.0.2", "endpoint of web"),
    ):
        with pytest.raises(Unavailable):
            await leave
    host.store.failing.clear()
    async with host.running():
        await until(lambda: not {key, ADDRESS} & host.store.keys.keys())


async def test_what_is_in_use_or_about_to_be_is_not_swept_up(host: Host) -> None:
    host.notes.mine = [member("web")]
    await host.membership.register()
    assert await host.membership.take_address("net", "10.0.0.9", "endpoint in the making")
    await host.membership.refresh()
    confirmations = host.notes.confirmations
    async with host.running():
        await until(lambda: host.notes.confirmations > confirmations)
    kept = {KEYS.endpoint("net", "web"), ADDRESS, KEYS.address("net", "10.0.0.9")}
    assert kept <= host.store.keys.keys()


async def test_a_container_that_left_while_it_was_being_told_of_is_not_left_behind(
    host: Host,
) -> None:
    host.notes.mine = [member("web")]
    registering = asyncio.ensure_future(host.membership.register())
    while ADDRESS not in host.store.keys:  # noqa: ASYNC110 - in the midst of it
        await asyncio.sleep(0)
    host.notes.mine.clear()
    await registering
    assert not {KEYS.endpoint("net", "web"), ADDRESS} & host.store.keys.keys()


async def test_who_cannot_renew_is_cut_off_in_time_and_once(host: Host) -> None:
    await host.membership.register()
    guard = asyncio.ensure_future(host.membership.fence_in_time())
    await until(lambda: host.notes.fenced > 0)
    found = [host.membership.is_confirmed]
    await host.membership.register()
    found.append(host.membership.is_confirmed)
    guard.cancel()
    assert (found, host.notes.fenced) == ([False, True], 1)


async def test_what_makes_no_sense_in_the_store_keeps_nobody_from_following(host: Host) -> None:
    host.notes.address_taken = lambda _network, text, _node: str(ip_address(text))  # type: ignore[assignment,method-assign]
    await host.membership.register()
    async with host.running():
        await until(lambda: host.store.watches > 0)
        await host.store.put(Put(KEYS.address("net", "no address"), b"there"))
        await host.store.put(Put(KEYS.node("strange"), b"{"))
        await host.store.put(Put(ADDRESS, b"\xff"))
        await host.store.put(
            Put(KEYS.node("there"), b'{"id":"there","name":"there","address":"10.77.0.2"}')
        )
        await until(lambda: "there" in host.membership.nodes)
