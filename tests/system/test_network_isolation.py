"""Who may reach whom, and what an attacker on a network tries: hardening cases N1 to N5."""

import json
import socket
import struct
import subprocess
from contextlib import suppress

import pytest

from support.netlab import Host, HostedDaemon, Place, ip, wait_until

pytestmark = pytest.mark.requires("root", "overlayfs", "docker")


def test_networks_are_isolated_from_one_another(moored: HostedDaemon) -> None:
    moored.docker("network", "create", "red")
    moored.docker("network", "create", "blue")
    red, blue = moored.sleeper("r1", "--network", "red"), moored.sleeper("b1", "--network", "blue")
    same = moored.sleeper("r2", "--network", "red")
    red.serve(80, "red")
    address = moored.address("r1", "red")
    assert same.word(address, 80) == "red"
    assert moored.host.word(address, 80) == "red"
    assert blue.word(address, 80, timeout=0.7) == ""
    red.close()


def test_a_published_port_is_open_to_other_networks_through_the_host(moored: HostedDaemon) -> None:
    moored.docker("network", "create", "red")
    web = moored.sleeper("web", "--network", "red", "-p", "18200:80")
    web.serve(80, "web")
    assert moored.sleeper("other").word(moored.host.address, 18200) == "web"
    web.close()


def test_an_internal_network_has_no_way_out_and_none_in(
    moored: HostedDaemon, neighbour: Host
) -> None:
    moored.docker("network", "create", "--internal", "inner")
    one = moored.sleeper("one", "--network", "inner", "-p", "18210:80")
    two = moored.sleeper("two", "--network", "inner")
    open_ = moored.sleeper("open", "-p", "18211:80")
    one.serve(80, "one")
    open_.serve(80, "open")
    neighbour.serve(8080, "outside")
    assert two.word(moored.address("one", "inner"), 80) == "one"
    assert two.word(neighbour.address, 8080, timeout=0.7) == ""
    assert two.word(moored.host.address, 18211, timeout=0.7) == ""
    gateway = moored.docker(
        "network", "inspect", "-f", "{{(index .IPAM.Config 0).Gateway}}", "inner"
    )
    route = ["ip", "route", "add", "default", "via", gateway]  # as a privileged container could
    two.inside(lambda: subprocess.run(route, check=True))
    assert two.word(neighbour.address, 8080, timeout=0.7) == ""
    assert two.word(moored.host.address, 18211, timeout=0.7) == ""
    assert neighbour.word(moored.host.address, 18210, timeout=0.7) == ""
    for place in (one, open_, neighbour):
        place.close()


def test_outgoing_traffic_is_masqueraded_unless_told_otherwise(
    moored: HostedDaemon, neighbour: Host
) -> None:
    neighbour.serve(8081, "seen")
    assert moored.sleeper("out").fetch(neighbour.address, 8081) == f"seen {moored.host.address}"
    option = "com.docker.network.bridge.enable_ip_masquerade=false"
    moored.docker("network", "create", "-o", option, "plain")
    plain = moored.sleeper("plain1", "--network", "plain")
    assert plain.fetch(neighbour.address, 8081, timeout=0.7) == ""  # nobody routes back to it
    address = moored.address("plain1", "plain")
    ip("route", "add", address, "via", moored.host.address, netns=neighbour.netns)
    try:
        assert plain.fetch(neighbour.address, 8081) == f"seen {address}"
    finally:
        ip("route", "del", address, netns=neighbour.netns)
    neighbour.close()


def test_icc_false_separates_neighbours_but_not_links(moored: HostedDaemon) -> None:
    option = "com.docker.network.bridge.enable_icc=false"
    moored.docker("network", "create", "-o", option, "apart")
    server = moored.sleeper("server", "--network", "apart", "--expose", "80")
    server.serve(80, "server")
    server.serve(81, "other")
    address = moored.address("server", "apart")
    stranger = moored.sleeper("stranger", "--network", "apart")
    assert stranger.word(address, 80, timeout=0.7) == ""
    assert moored.host.word(address, 80) == "server"
    friend = moored.sleeper("friend", "--network", "apart", "--link", "server:db")
    assert friend.word(address, 80) == "server"
    assert friend.word(address, 81, timeout=0.7) == ""
    server.close()


def test_n1_a_firewall_reload_leaves_isolation_and_loopback_publishes(
    moored: HostedDaemon, neighbour: Host
) -> None:
    """CVE-2025-54388, CVE-2025-54410."""
    moored.docker("network", "create", "red")
    red = moored.sleeper("red1", "--network", "red", "-p", "127.0.0.1:18220:80")
    red.serve(80, "red")
    other = moored.sleeper("other")
    # what a reload of firewalld or nftables.service does: all that is not ours comes afresh
    moored.host.run("nft", "-f", "-", stdin="flush ruleset\nadd table inet firewalld\n")
    wait_until(lambda: moored.host.word("127.0.0.1", 18220) == "red")
    assert neighbour.word(moored.host.address, 18220, timeout=0.7) == ""
    assert other.word(moored.address("red1", "red"), 80, timeout=0.7) == ""
    moored.host.run("nft", "delete", "table", "inet", "firewalld")
    red.close()


def test_n2_a_neighbour_that_routes_to_a_container_finds_it_closed(
    moored: HostedDaemon, neighbour: Host
) -> None:
    """Docker 28's hardening: ports that are not published, or for 127.0.0.1 alone."""
    web = moored.sleeper("web", "-p", "127.0.0.1:18230:80")
    web.serve(80, "web")
    web.serve(81, "unpublished")
    address = moored.address("web")
    ip("route", "add", f"{address}/32", "via", moored.host.address, netns=neighbour.netns)
    ip("route", "add", "127.0.0.99/32", "via", moored.host.address, netns=neighbour.netns)
    try:
        assert neighbour.word(address, 80, timeout=0.7) == ""
        assert neighbour.word(address, 81, timeout=0.7) == ""
    finally:
        ip("route", "del", f"{address}/32", netns=neighbour.netns)
        ip("route", "del", "127.0.0.99/32", netns=neighbour.netns)
    web.close()


def test_n2_a_container_cannot_reach_the_loopback_of_its_host(moored: HostedDaemon) -> None:
    """CVE-2020-8558: route_localnet is on for the bridge, so the rules must shut 127.0.0.0/8."""
    moored.host.serve(8082, "secret", address="127.0.0.1")
    moored.sleeper("evil")
    key = moored.place("evil").path
    gateway = moored.docker("inspect", "-f", "{{.NetworkSettings.Networks.bridge.Gateway}}", "evil")
    commands = [
        "sysctl -qw net.ipv4.conf.all.route_localnet=1 net.ipv4.conf.eth0.route_localnet=1",
        "ip addr del 127.0.0.1/8 dev lo",
        f"ip route add 127.0.0.1/32 via {gateway} dev eth0 onlink",
        "ip route del table local local 127.0.0.0/8 dev lo || true",
    ]
    for command in commands:
        subprocess.run(
            ["nsenter", f"--net={key}", "sh", "-c", command], capture_output=True, check=False
        )
    assert moored.place("evil").word("127.0.0.1", 8082, timeout=0.7) == ""
    moored.host.close()


def test_n3_names_are_no_way_out_of_an_internal_network(
    moored: HostedDaemon, neighbour: Host
) -> None:
    """CVE-2024-29018."""
    asked: list[bytes] = []
    resolver = neighbour.socket("0.0.0.0", socket.SOCK_DGRAM, 0.8)
    resolver.bind(("", 53))
    moored.docker("network", "create", "--internal", "inner")
    inner = moored.sleeper("inner1", "--network", "inner", "--dns", neighbour.address)
    assert inner.resolve("exfiltrated.example.com") == ("SERVFAIL", [])
    assert inner.resolve("exfiltrated.example.com", tcp=True) == ("SERVFAIL", [])
    assert inner.resolve("inner1")[0] == "NOERROR"
    with resolver, pytest.raises(TimeoutError):
        asked.append(resolver.recv(2000))
    assert asked == []


def test_n4_a_network_without_ipv6_has_none(moored: HostedDaemon) -> None:
    """CVE-2024-32473: not even link-local addresses."""
    moored.docker("network", "create", "four")
    moored.sleeper("v4", "--network", "four")
    shown = moored.docker("exec", "v4", "ip", "-6", "addr", "show", "dev", "eth0")
    assert shown == ""
    bridge = f"br-{moored.docker('network', 'inspect', '-f', '{{.Id}}', 'four')[:12]}"
    assert moored.host.run("ip", "-6", "addr", "show", "dev", bridge) == ""
    ports = moored.host.run("ip", "-6", "-o", "addr", "show", "scope", "link")
    assert f" m{moored.instance[:5]}" not in ports


def test_n5_router_advertisements_of_a_container_are_not_passed_on(moored: HostedDaemon) -> None:
    """CVE-2020-13401."""
    moored.docker("network", "create", "--ipv6", "six")
    evil, victim = (
        moored.sleeper("evil", "--network", "six"),
        moored.sleeper("vic", "--network", "six"),
    )
    # an advertisement of a router for the prefix 2001:db8:bad::/64, to all nodes
    prefix = struct.pack("!BBBBIII", 3, 4, 64, 0xC0, 3600, 3600, 0)
    prefix += socket.inet_pton(socket.AF_INET6, "2001:db8:bad::")
    advertisement = struct.pack("!BBHBBHII", 134, 0, 0, 64, 0, 1800, 0, 0) + prefix

    def listen() -> socket.socket:
        return socket.socket(socket.AF_INET6, socket.SOCK_RAW, socket.IPPROTO_ICMPV6)

    ears = victim.inside(listen)
    mouth = evil.inside(listen)
    with ears, mouth:
        ears.settimeout(0.8)
        mouth.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_MULTICAST_HOPS, 255)
        index = evil.inside(lambda: socket.if_nametoindex("eth0"))
        mouth.sendto(advertisement, ("ff02::1", 0, 0, index))
        heard = set()
        with suppress(TimeoutError):
            while True:
                heard.add(ears.recv(2000)[0])
        assert 134 not in heard
    for place in (moored.host, victim):
        routes = subprocess.run(
            ["nsenter", f"--net={place.path}", "ip", "-6", "route"], capture_output=True, check=True
        )
        assert b"2001:db8:bad::" not in routes.stdout


def frames(place: Place) -> socket.socket:
    """Return a socket for whole Ethernet frames on a container's interface."""

    def listen() -> socket.socket:
        sock = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3))
        sock.bind(("eth0", 3))
        return sock

    return place.inside(listen)


def mac(daemon: HostedDaemon, container: str) -> bytes:
    found = json.loads(
        daemon.docker("inspect", "-f", "{{json .NetworkSettings.Networks}}", container)
    )
    return bytes.fromhex(next(iter(found.values()))["MacAddress"].replace(":", ""))


def neighbours(place: Place) -> str:
    return place.inside(lambda: subprocess.check_output(["ip", "neigh"], text=True))


def test_n5_a_container_speaks_for_no_other_address(moored: HostedDaemon) -> None:
    """A container with CAP_NET_RAW, as all have, cannot take over a neighbour's address."""
    moored.docker("network", "create", "--ipv6", "lan")
    evil = moored.sleeper("evil", "--network", "lan")
    good = moored.sleeper("good", "--network", "lan")
    victim = moored.sleeper("vic", "--network", "lan")
    good.serve(80, "good")
    wanted, wanted6 = moored.address("good", "lan"), moored.address6("good", "lan")
    assert victim.word(wanted, 80) == victim.word(wanted6, 80) == "good"
    own, his, good_mac = mac(moored, "evil"), mac(moored, "vic"), mac(moored, "good")
    arp = struct.pack("!HHBBH", 1, 0x0800, 6, 4, 2) + own + socket.inet_aton(wanted)
    arp += his + socket.inet_aton(moored.address("vic", "lan"))
    advert = struct.pack("!BBHI", 136, 0, 0, 0x60000000) + socket.inet_pton(
        socket.AF_INET6, wanted6
    )
    with frames(evil) as mouth, frames(victim) as ears:
        ears.settimeout(2)
        mouth.send(his + own + b"\x08\x06" + arp)
        mouth.send(his + good_mac + b"\x88\xb5 in the name of another")
        mouth.send(his + own + b"\x88\xb5 in its own name")
        heard = b""
        while b"in its own name" not in heard:
            heard = ears.recv(2000)
            assert b"in the name of another" not in heard
            assert b"\x08\x06" + arp not in heard
    index = evil.inside(lambda: socket.if_nametoindex("eth0"))
    raw = evil.inside(
        lambda: socket.socket(socket.AF_INET6, socket.SOCK_RAW, socket.IPPROTO_ICMPV6)
    )
    with raw:
        raw.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_UNICAST_HOPS, 255)
        raw.sendto(advert + b"\x02\x01" + own, (moored.address6("vic", "lan"), 0, 0, index))
    assert evil.word(wanted6, 80) == "good"  # what it says of itself passes
    known = neighbours(victim)
    for address in (wanted, wanted6):
        line = next(line for line in known.splitlines() if line.startswith(f"{address} "))
        assert good_mac.hex(":") in line
    assert victim.word(wanted, 80) == victim.word(wanted6, 80) == "good"
    good.close()


def test_who_may_administer_its_network_may_take_addresses(moored: HostedDaemon) -> None:
    """As keepalived does."""
    moored.docker("network", "create", "--subnet", "10.88.0.0/24", "lan")
    free = moored.sleeper("free", "--network", "lan", "--cap-add", "NET_ADMIN")
    other = moored.sleeper("other", "--network", "lan")
    moored.docker("exec", "free", "ip", "addr", "add", "10.88.0.200/24", "dev", "eth0")
    free.serve(80, "free")
    assert other.word("10.88.0.200", 80) == "free"
    assert moored.host.word("10.88.0.200", 80) == "free"
    free.close()


def test_gateway_mode_routed_opens_published_ports_without_translation(
    moored: HostedDaemon, neighbour: Host
) -> None:
    mode = "com.docker.network.bridge.gateway_mode_ipv4=routed"
    moored.docker("network", "create", "-o", mode, "--subnet", "10.99.1.0/24", "routed")
    web = moored.sleeper("web", "--network", "routed", "-p", "80", "--ip", "10.99.1.10")
    web.serve(80, "web")
    web.serve(81, "shut")
    neighbour.serve(8083, "seen")
    ip("route", "add", "10.99.1.0/24", "via", moored.host.address, netns=neighbour.netns)
    try:
        assert neighbour.fetch("10.99.1.10", 80) == f"web {neighbour.address}"
        assert neighbour.word("10.99.1.10", 81, timeout=0.7) == ""
        assert web.fetch(neighbour.address, 8083) == "seen 10.99.1.10"
    finally:
        ip("route", "del", "10.99.1.0/24", netns=neighbour.netns)
    web.close()
    neighbour.close()
