"""Ports as users write them, and who holds which."""

import socket

import pytest
from hypothesis import given
from hypothesis import strategies as st

from moorage.lib.errors import InvalidParameter
from moorage.networks import ports
from moorage.networks.ports import HostPorts, PortTaken, Wish
from moorage.spec.engine.hostconfig import PortBinding


@pytest.mark.parametrize(
    ("text", "want"), [("80/tcp", (80, "tcp")), ("53/udp", (53, "udp")), ("1", (1, "tcp"))]
)
def test_ports(text: str, want: tuple[int, str]) -> None:
    assert ports.parse_port(text) == want


@given(st.text(max_size=12))
def test_any_text_is_a_port_or_a_bad_request(text: str) -> None:
    try:
        number, protocol = ports.parse_port(text)
    except InvalidParameter:
        return
    assert 0 < number < 65536
    assert protocol in {"tcp", "udp", "sctp"}


@pytest.mark.parametrize("text", ["0-1", "9-8", "65536", "a", "1-2-3", "-1", "٣"])
def test_what_is_no_host_port(text: str) -> None:
    with pytest.raises(InvalidParameter):
        ports.parse_host_port(text)


def test_publish_all_adds_what_is_exposed_and_not_bound() -> None:
    bound: dict[str, list[PortBinding] | None] = {"80/tcp": [PortBinding(host_port="8080")]}
    found = ports.wishes(bound, ["80/tcp", "443/tcp"], publish_all=True)
    assert [(w.port, w.first) for w in found] == [(80, 8080), (443, 0)]


@pytest.fixture
def free() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def test_every_address_clashes_with_one_address(free: int) -> None:
    held = HostPorts()
    held.hold("tcp", "127.0.0.1", free, owner="web")
    with pytest.raises(PortTaken, match="port is already allocated"):
        held.hold("tcp", "0.0.0.0", free, owner="web")
    held.hold("udp", "127.0.0.1", free, owner="web")
    held.free("tcp", "127.0.0.1", free)
    held.hold("tcp", "0.0.0.0", free, owner="web")
    held.close()


def test_a_program_of_the_host_is_noticed_and_kept_out(free: int) -> None:
    held = HostPorts()
    wish = Wish(protocol="tcp", port=80, first=free, last=free)
    with socket.socket() as program:
        program.bind(("127.0.0.1", free))
        program.listen()
        with pytest.raises(PortTaken, match="address already in use"):
            held.take(wish, ["127.0.0.1"], owner="web")
    assert held.take(wish, ["127.0.0.1"], owner="web") == free
    with socket.socket() as program, pytest.raises(OSError, match="in use"):
        program.bind(("127.0.0.1", free))
    held.close()


def test_a_failure_on_one_address_lets_go_of_the_others(free: int) -> None:
    held = HostPorts()
    held.hold("tcp", "127.0.0.2", free, owner="web")
    wish = Wish(protocol="tcp", port=80, first=free, last=free)
    with pytest.raises(PortTaken):
        held.take(wish, ["127.0.0.1", "127.0.0.2"], owner="web")
    held.hold("tcp", "127.0.0.1", free, owner="web")
    held.close()
