"""Netlink messages as bytes, against pyroute2 as an independent reader."""

import ipaddress
import struct
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pyroute2.netlink.rtnl.ifaddrmsg import ifaddrmsg  # type: ignore[import-untyped]
from pyroute2.netlink.rtnl.ifinfmsg import ifinfmsg  # type: ignore[import-untyped]
from pyroute2.netlink.rtnl.ndmsg import ndmsg  # type: ignore[import-untyped]
from pyroute2.netlink.rtnl.rtmsg import rtmsg  # type: ignore[import-untyped]

from moorage.netlink import address, link, message, neighbour, route


@given(st.dictionaries(st.integers(1, 0x3FFF), st.binary(max_size=200), max_size=8))
def test_attributes_are_read_as_they_were_packed(attrs: dict[int, bytes]) -> None:
    packed = b"".join(message.attr(kind, value) for kind, value in attrs.items())
    assert len(packed) % 4 == 0
    assert message.attribute_map(packed) == attrs


@given(st.binary(max_size=300))
def test_no_bytes_make_the_reader_fail(noise: bytes) -> None:
    list(message.attributes(noise))
    list(message.messages(noise))


def test_an_attribute_that_would_wrap_is_refused() -> None:
    """CVE-2021-43784's class: a 16-bit length that lies."""
    with pytest.raises(ValueError, match="too long"):
        message.attr(1, bytes(0x10000))


def read(kind: Any, request: message.Request) -> dict[str, Any]:
    parsed = kind(request.pack(7, message.NLM_F_ACK))
    parsed.decode()
    assert parsed["header"]["sequence_number"] == 7
    assert parsed["header"]["type"] == request.kind
    return {**dict(parsed["attrs"]), "message": parsed}


def test_a_veth_with_its_far_end() -> None:
    request = link.veth(
        "near0", master=5, mtu=1400, peer="eth0", peer_mac="02:42:ac:11:00:02", namespace=9
    )
    found = read(ifinfmsg, request)
    assert found["IFLA_IFNAME"] == "near0"
    assert found["IFLA_MASTER"] == 5
    assert found["IFLA_MTU"] == 1400
    info = found["IFLA_LINKINFO"]
    assert info.get_attr("IFLA_INFO_KIND") == "veth"
    far = info.get_attr("IFLA_INFO_DATA").get_attr("VETH_INFO_PEER")
    assert far.get_attr("IFLA_IFNAME") == "eth0"
    assert far.get_attr("IFLA_ADDRESS") == "02:42:ac:11:00:02"
    assert far.get_attr("IFLA_NET_NS_FD") == 9


@pytest.mark.parametrize("mode", link.IPVLAN_MODES)
@pytest.mark.parametrize("flag", link.IPVLAN_FLAGS)
def test_an_ipvlan_in_every_mode(mode: str, flag: str) -> None:
    found = read(ifinfmsg, link.ipvlan("eth0", parent=3, mode=mode, flag=flag, namespace=4))
    info = found["IFLA_LINKINFO"]
    assert info.get_attr("IFLA_INFO_KIND") == "ipvlan"
    assert info.get_attr("IFLA_INFO_DATA").get_attr("IFLA_IPVLAN_MODE") == link.IPVLAN_MODES[mode]
    assert found["IFLA_LINK"] == 3


@pytest.mark.parametrize("mode", link.MACVLAN_MODES)
def test_a_macvlan_in_every_mode(mode: str) -> None:
    found = read(ifinfmsg, link.macvlan("eth0", parent=3, mode=mode, mac="02:00:00:00:00:01"))
    data = found["IFLA_LINKINFO"].get_attr("IFLA_INFO_DATA")
    assert data.get_attr("IFLA_MACVLAN_MODE") == mode


def test_a_vlan_and_a_vxlan() -> None:
    vlan = read(ifinfmsg, link.vlan("eth0.10", parent=2, tag=10))
    assert vlan["IFLA_LINKINFO"].get_attr("IFLA_INFO_DATA").get_attr("IFLA_VLAN_ID") == 10
    request = link.vxlan("vx0", vni=4097, port=4789, local="10.0.0.1", mtu=1450, master=6)
    data = read(ifinfmsg, request)["IFLA_LINKINFO"].get_attr("IFLA_INFO_DATA")
    assert data.get_attr("IFLA_VXLAN_ID") == 4097
    assert data.get_attr("IFLA_VXLAN_LOCAL") == "10.0.0.1"
    assert data.get_attr("IFLA_VXLAN_PORT") == 4789
    assert data.get_attr("IFLA_VXLAN_LEARNING") == 0


@pytest.mark.parametrize("text", ["172.17.0.2/16", "10.0.0.1/31", "fd00::2/64"])
def test_an_address(text: str) -> None:
    wanted = ipaddress.ip_interface(text)
    found = read(ifaddrmsg, address.add(4, wanted))
    assert found["IFA_ADDRESS"] == str(wanted.ip)
    whole = found["message"]
    assert (whole["index"], whole["prefixlen"]) == (4, wanted.network.prefixlen)
    assert ("IFA_BROADCAST" in found) == (text == "172.17.0.2/16")


def test_routes() -> None:
    default = ipaddress.ip_network("0.0.0.0/0")
    found = read(rtmsg, route.add(default, gateway=ipaddress.ip_address("10.0.0.1"), interface=3))
    assert (found["RTA_GATEWAY"], found["RTA_OIF"]) == ("10.0.0.1", 3)
    assert "RTA_DST" not in found
    found = read(rtmsg, route.add(ipaddress.ip_network("10.1.0.0/16"), interface=3))
    whole = found["message"]
    assert (whole["dst_len"], whole["scope"]) == (16, 253)


def test_forwarding_and_neighbour_entries() -> None:
    host = ipaddress.ip_address("10.0.0.9")
    found = read(ndmsg, neighbour.forward(7, "02:42:0a:00:00:02", host))
    assert (found["NDA_LLADDR"], found["NDA_DST"]) == ("02:42:0a:00:00:02", "10.0.0.9")
    found = read(ndmsg, neighbour.answer(7, ipaddress.ip_address("fd00::2"), "02:42:0a:00:00:02"))
    assert found["NDA_DST"] == "fd00::2"


@pytest.mark.parametrize("text", ["", "02:42", "zz:42:ac:11:00:02", "02:42:ac:11:00:02:09"])
def test_what_is_no_ethernet_address(text: str) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 - bytes.fromhex has its own words
        link.mac_bytes(text)


def test_headers_are_as_long_as_they_say() -> None:
    request = link.set_up("lo")
    raw = request.pack(1, 0)
    assert struct.unpack_from("=I", raw)[0] <= len(raw) < struct.unpack_from("=I", raw)[0] + 4
