"""Pools, subnets and addresses."""

import ipaddress
from collections.abc import Iterable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from moorage.lib.errors import Forbidden, InvalidParameter
from moorage.networks import ipam
from moorage.networks.config import AddressPool
from moorage.networks.ipam import Pool, Subnet


def nets(*texts: str) -> list[ipam.IPNetwork]:
    return [ipaddress.ip_network(text) for text in texts]


def test_addresses_are_handed_out_from_the_lowest_and_used_again() -> None:
    pool = Pool(Subnet(cidr="10.0.0.0/29"))
    taken = [pool.take() for _ in range(7)]
    assert [str(a) for a in taken[:6]] == [f"10.0.0.{n}" for n in range(1, 7)]
    assert taken[6] is None  # the broadcast address is nobody's
    pool.release(ipaddress.ip_address("10.0.0.3"))
    assert str(pool.take()) == "10.0.0.3"


def test_a_range_limits_what_is_handed_out_but_not_what_may_be_asked_for() -> None:
    pool = Pool(Subnet(cidr="10.0.0.0/16", ip_range="10.0.5.0/30"))
    assert [str(pool.take()) for _ in range(4)] == [f"10.0.5.{n}" for n in range(4)]
    assert pool.take() is None
    assert ipam.claim_address([pool], "10.0.9.9")[1] == ipaddress.ip_address("10.0.9.9")
    with pytest.raises(Forbidden, match="Address already in use"):
        ipam.claim_address([pool], "10.0.9.9")
    with pytest.raises(InvalidParameter, match="no configured subnet contains IP address"):
        ipam.claim_address([pool], "10.1.0.1")


@pytest.mark.parametrize(("cidr", "count"), [("10.0.0.0/31", 2), ("10.0.0.0/32", 1)])
def test_the_smallest_subnets_have_no_broadcast(cidr: str, count: int) -> None:
    pool = Pool(Subnet(cidr=cidr))
    assert sum(pool.take() is not None for _ in range(3)) == count


def test_ipv6_keeps_the_router_anycast_address_back() -> None:
    assert str(Pool(Subnet(cidr="fd00::/64")).take()) == "fd00::1"


def test_a_free_subnet_avoids_routes_of_every_size() -> None:
    pools = [AddressPool(base="172.18.0.0/16", size=24), AddressPool(base="10.8.0.0/16", size=24)]
    assert str(ipam.free_subnet(pools, [])) == "172.18.0.0/24"
    assert str(ipam.free_subnet(pools, nets("172.18.0.0/25"))) == "172.18.1.0/24"
    assert str(ipam.free_subnet(pools, nets("172.18.0.128/32", "172.18.1.0/24"))) == "172.18.2.0/24"
    assert str(ipam.free_subnet(pools, nets("172.16.0.0/12"))) == "10.8.0.0/24"
    with pytest.raises(InvalidParameter, match="all predefined address pools have been fully"):
        ipam.free_subnet(pools, nets("172.16.0.0/12", "10.0.0.0/8"))


def test_an_exhausted_pool_names_the_routes_in_the_way() -> None:
    pools = [AddressPool(base="10.8.0.0/24", size=25)]
    taken, foreign = nets("10.8.0.0/25"), nets("10.8.0.0/25", "10.8.0.192/26", "10.9.0.0/16")
    with pytest.raises(InvalidParameter) as refused:
        ipam.free_subnet(pools, taken, routes=foreign)
    assert "routes of this host are in the way: 10.8.0.192/26" in str(refused.value)
    assert "10.9" not in str(refused.value)
    assert "10.8.0.0/25" not in str(refused.value)


@given(
    st.lists(
        st.tuples(st.integers(0, 2**16 - 1), st.integers(17, 32)).map(
            lambda x: ipaddress.ip_network(((172 << 24) + (18 << 16) + x[0], x[1]), strict=False)
        ),
        max_size=30,
    )
)
@settings(max_examples=60, deadline=None)
def test_a_free_subnet_overlaps_nothing_and_is_the_first_that_does_not(
    taken: list[ipaddress.IPv4Network],
) -> None:
    pools = [AddressPool(base="172.18.0.0/16", size=24)]

    def free(candidates: Iterable[ipam.IPNetwork]) -> list[ipam.IPNetwork]:
        return [c for c in candidates if not any(c.overlaps(t) for t in nets(*map(str, taken)))]

    want = free(ipaddress.ip_network("172.18.0.0/16").subnets(new_prefix=24))
    try:
        found = ipam.free_subnet(pools, taken)
    except InvalidParameter:
        assert want == []
    else:
        assert found == want[0]


def test_overlaps_are_refused_with_the_other_networks_name() -> None:
    with pytest.raises(Forbidden, match="Pool overlaps with other one") as caught:
        ipam.refuse_overlap(nets("10.0.1.0/24")[0], [("red", nets("10.0.0.0/16")[0])])
    assert "red" in str(caught.value)
    ipam.refuse_overlap(ipaddress.ip_network("10.1.0.0/24"), [("red", nets("10.0.0.0/16")[0])])


@pytest.mark.parametrize(
    ("subnet", "wrong"),
    [
        (Subnet(cidr="10.0.0.1/8"), "invalid subnet 10.0.0.1/8: it should be 10.0.0.0/8"),
        (Subnet(cidr="10.0.0.0"), "invalid subnet 10.0.0.0: invalid CIDR block notation"),
        (
            Subnet(cidr="10.0.0.0/24", gateway="10.0.1.1"),
            "invalid gateway 10.0.1.1: parent subnet 10.0.0.0/24 doesn't contain this address",
        ),
        (
            Subnet(cidr="10.0.0.0/24", gateway="fd00::1"),
            "invalid gateway fd00::1: parent subnet is an IPv4 block",
        ),
        (
            Subnet(cidr="10.10.0.0/16", ip_range="10.0.0.0/8"),
            "invalid ip-range 10.0.0.0/8: CIDR block is bigger than its parent subnet 10.10.0.0/16",
        ),
        (
            Subnet(cidr="10.0.0.0/8", ip_range="192.168.0.0/24"),
            "invalid ip-range 192.168.0.0/24: parent subnet 10.0.0.0/8 doesn't contain ip-range",
        ),
        (
            Subnet(cidr="10.0.0.0/8", auxiliary={"router": "bad"}),
            "invalid auxiliary address router: invalid address",
        ),
    ],
)
def test_what_is_wrong_is_said_in_dockers_words(subnet: Subnet, wrong: str) -> None:
    assert wrong in ipam.check_subnets([subnet], ipv4=True, ipv6=True)


def test_subnets_of_a_family_that_is_off_are_not_looked_at() -> None:
    assert ipam.check_subnets([Subnet(cidr="2001:db8::1/32")], ipv4=True, ipv6=False) == []


class Allocations(RuleBasedStateMachine):
    """No address is ever held twice, whatever is taken, claimed and given back."""

    @initialize()
    def start(self) -> None:
        self.pool = Pool(Subnet(cidr="10.0.0.0/27", ip_range="10.0.0.8/29"))
        self.held: set[ipam.IPAddress] = set()

    @rule()
    def take(self) -> None:
        address = self.pool.take()
        if address is not None:
            assert address not in self.held
            self.held.add(address)

    @rule(offset=st.integers(1, 30))
    def claim(self, offset: int) -> None:
        address = ipaddress.ip_address("10.0.0.0") + offset
        assert self.pool.claim(address) == (address not in self.held)
        self.held.add(address)

    @rule(data=st.data())
    def release(self, data: st.DataObject) -> None:
        if self.held:
            address = data.draw(st.sampled_from(sorted(self.held)))
            self.pool.release(address)
            self.held.discard(address)

    @invariant()
    def counts_agree(self) -> None:
        if hasattr(self, "pool"):
            assert self.pool.in_use == len(self.held) + 2
            inside = sum(8 <= int(a) & 31 < 16 for a in self.held)
            assert self.pool.available == 8 - inside


TestAllocations = Allocations.TestCase
