"""The rules as text: what goes in and out again, and that nothing but names gets in."""

import pytest
from msgspec.structs import replace

from moorage.networks.firewall import rules
from moorage.networks.firewall.rules import NetworkRules, Published, Wanted

ANY = "0.0.0.0"
RED = NetworkRules(tag="abc", bridge="br-red", subnets=("10.0.0.0/24", "fd00::/64"))


def test_every_address_of_the_host_has_a_map_of_its_own() -> None:
    ports = [
        Published(
            protocol="tcp", host=ANY, host_port=80, container="10.0.0.2", container_port=8080
        ),
        Published(
            protocol="udp", host="127.0.0.1", host_port=53, container="10.0.0.2", container_port=53
        ),
        Published(protocol="tcp", host="::", host_port=80, container="fd00::2", container_port=80),
    ]
    text = rules.publish("t", ports)
    assert "add element inet t publish4_any { tcp . 80 : 10.0.0.2 . 8080 }" in text
    assert "add element inet t publish4 { udp . 127.0.0.1 . 53 : 10.0.0.2 . 53 }" in text
    assert "add element inet t publish6_any { tcp . 80 : fd00::2 . 80 }" in text
    assert "delete element inet t publish4_any { tcp . 80 }" in rules.unpublish("t", ports)


@pytest.mark.parametrize(
    "network",
    [RED, replace(RED, internal=True), replace(RED, trusted=("eth1",), open4=True, routed6=True)],
)
def test_all_that_is_added_for_a_network_is_removed_with_it(network: NetworkRules) -> None:
    added = rules.add_network("t", network).splitlines()
    removed = rules.remove_network("t", network).splitlines()
    undone = [
        f"delete {line.removeprefix('add ').partition(' : ')[0].removesuffix(' }')}"
        for line in added
        if " rule " not in line
    ]
    assert sorted(undone) == sorted(line.removesuffix(" }") for line in removed)


def test_a_network_adds_one_chain() -> None:
    assert rules.add_network("t", RED).count("add chain") == 1


def test_an_internal_network_is_shut_both_ways_and_never_masqueraded() -> None:
    text = rules.add_network(
        "t", NetworkRules(tag="a", bridge="b", subnets=("10.0.0.0/24",), internal=True)
    )
    assert 'add element inet t internal { "b" }' in text
    assert "post_a ip saddr" not in text


@pytest.mark.parametrize("name", ["", "a" * 16, 'x"; drop', "a b", "a*", "a\n"])
def test_nothing_but_a_name_becomes_part_of_a_rule(name: str) -> None:
    with pytest.raises(ValueError, match="not an interface name"):
        rules.interface(name)


def test_port_names_tell_daemons_and_separated_networks_apart() -> None:
    plain = rules.port_name("0123abcd", "f" * 64, separate=False, confined=True)
    apart = rules.port_name("0123abcd", "f" * 64, separate=True, confined=True)
    assert len(plain) <= 15
    assert plain[:7] != apart[:7]


def test_the_whole_is_one_replacement() -> None:
    text = rules.whole("0123abcd", Wanted(networks={"abc": RED}))
    assert text.startswith("add table inet moorage_0123abcd\ndelete table inet moorage_0123abcd")
