"""Published ports, driven through the official client with sockets at both ends."""

import os
import signal
import socket
import threading
import time
from contextlib import suppress
from pathlib import Path

import pytest

from support.netlab import Host, HostedDaemon, wait_until

pytestmark = pytest.mark.requires("root", "overlayfs", "docker")


def test_a_port_is_reached_from_everywhere_it_should_be(
    moored: HostedDaemon, neighbour: Host
) -> None:
    web = moored.sleeper("web", "-p", "18080:80")
    web.serve(80, "web")
    other = moored.sleeper("other")
    host = moored.host
    # the client is seen as it is
    assert neighbour.fetch(host.address, 18080) == f"web {neighbour.address}"
    assert host.word("127.0.0.1", 18080) == "web"
    assert host.word(host.address, 18080) == "web"
    assert other.word(host.address, 18080) == "web"
    assert web.word(host.address, 18080) == "web"  # hairpin to itself
    assert neighbour.word(host.address6, 18080) == "web"
    assert host.word(host.address6, 18080) == "web"
    assert web.word(host.address6, 18080) == "web"
    web.close()


def test_ipv6_loopback_is_served_or_refused_at_once(moored: HostedDaemon) -> None:
    web = moored.sleeper("web", "-p", "18081:80")
    web.serve(80, "web")
    calls = moored.host.run("cat", "/proc/sys/net/bridge/bridge-nf-call-ip6tables").strip()
    started = time.monotonic()
    got = moored.host.word("::1", 18081)
    assert got == ("web" if calls == "0" else "")
    assert time.monotonic() - started < 1  # a refusal, not a time-out: clients try 127.0.0.1 next
    web.close()


def forwarders(daemon: HostedDaemon) -> set[int]:
    """The processes that forward ports of a daemon."""
    found: set[int] = set()
    for process in Path("/proc").iterdir():
        if process.name.isdecimal():
            with suppress(OSError):  # it has just ended
                words = (process / "cmdline").read_bytes()
                if b"portforwarder" in words and f"{daemon.exec_root}/".encode() in words:
                    found.add(int(process.name))
    return found


def test_ipv6_loopback_leads_to_a_container_without_ipv6(moored: HostedDaemon) -> None:
    """The kernel does not translate between IP versions; a process of its own carries the bytes."""
    host = moored.host
    moored.docker("network", "create", "four")
    web = moored.sleeper("web", "--network", "four", "-p", "[::1]:18091:80")
    web.serve(80, "web")
    assert moored.address6("web", "four") == ""
    assert host.word("::1", 18091) == "web"
    assert host.word("127.0.0.1", 18091) == ""  # it was published there alone
    assert moored.docker("port", "web") == "80/tcp -> [::1]:18091"
    taken = moored.cli.run("run", "--rm", "--network", "four", "-p", "[::1]:18091:80", "busybox")
    assert "port is already allocated" in taken.err
    (process,) = forwarders(moored)
    moored.restart(kill=True)  # what is carried does not need the daemon
    assert forwarders(moored) == {process}
    assert host.word("::1", 18091) == "web"
    os.kill(process, signal.SIGKILL)
    wait_until(lambda: host.word("::1", 18091) == "web")  # another has taken its place
    assert forwarders(moored) not in (set(), {process})
    web.close()
    moored.docker("rm", "-f", "web")
    assert forwarders(moored) == set()
    assert host.word("::1", 18091) == ""
    again = moored.sleeper("again", "--network", "four", "-p", "[::1]:18091:80")
    again.serve(80, "again")
    assert host.word("::1", 18091) == "again"
    again.close()


def test_what_is_carried_arrives_whole_and_in_both_directions(moored: HostedDaemon) -> None:
    moored.docker("network", "create", "four")
    place = moored.sleeper("echo", "--network", "four", "-p", "[::1]:18092:80")
    sent = os.urandom(3 << 20)
    received: list[bytes] = []
    with place.socket("0.0.0.0", socket.SOCK_STREAM, 10) as listener:
        listener.bind(("0.0.0.0", 80))
        listener.listen()

        def answer() -> None:
            peer, _ = listener.accept()
            with peer:
                peer.settimeout(10)
                whole = b"".join(iter(lambda: peer.recv(1 << 16), b""))
                received.append(whole)
                peer.sendall(whole[::-1])  # after the other direction has ended

        server = threading.Thread(target=answer)
        server.start()
        with moored.host.socket("::1", socket.SOCK_STREAM, 10) as client:
            client.connect(("::1", 18092))
            client.sendall(sent)
            client.shutdown(socket.SHUT_WR)
            back = b"".join(iter(lambda: client.recv(1 << 16), b""))
        server.join()
    assert received == [sent]
    assert back == sent[::-1]
    with moored.host.socket("::1", socket.SOCK_STREAM, 10) as client:
        client.connect(("::1", 18092))
        with suppress(ConnectionResetError):
            assert client.recv(1) == b""  # nobody listens in the container: it is told at once


def test_udp_is_carried_to_a_container_without_ipv6(moored: HostedDaemon) -> None:
    moored.docker("network", "create", "four")
    place = moored.sleeper("dns", "--network", "four", "-p", "[::1]:15391:53/udp")
    place.serve_udp(53, "udp")
    wait_until(lambda: moored.host.ask_udp("::1", 15391, timeout=0.3).startswith("udp "))
    place.close()


def test_a_port_that_is_carried_follows_the_networks_of_its_container(
    moored: HostedDaemon,
) -> None:
    moored.docker("network", "create", "four")
    moored.docker("network", "create", "other")
    web = moored.sleeper("web", "--network", "four", "-p", "[::1]:18093:80")
    web.serve(80, "web")
    moored.docker("network", "connect", "other", "web")
    moored.docker("network", "disconnect", "four", "web")
    wait_until(lambda: moored.host.word("::1", 18093, timeout=0.3) == "web")
    assert len(forwarders(moored)) == 1
    web.close()


def test_udp_and_its_answers(moored: HostedDaemon, neighbour: Host) -> None:
    name = moored.sleeper("dns", "-p", "15353:53/udp")
    name.serve_udp(53, "udp")
    assert neighbour.ask_udp(moored.host.address, 15353) == f"udp {neighbour.address}"
    assert moored.host.ask_udp("127.0.0.1", 15353).startswith("udp ")
    assert neighbour.ask_udp(moored.host.address6, 15353).startswith("udp ")
    name.close()


def test_a_udp_conversation_finds_the_container_that_comes_later(
    moored: HostedDaemon, neighbour: Host
) -> None:
    with neighbour.socket(moored.host.address, socket.SOCK_DGRAM, 1) as sock:
        sock.connect((moored.host.address, 15354))
        for name in ("first", "second"):
            sock.send(b"too early")  # an entry that leads to the host itself
            with suppress(OSError):
                sock.recv(100)
            place = moored.sleeper(name, "-p", "15354:53/udp")
            place.serve_udp(53, name)
            sock.send(b"ping")
            assert sock.recv(100).decode().startswith(name)
            moored.docker("rm", "-f", name)
            place.close()


def test_a_port_on_one_address_is_closed_on_the_others(
    moored: HostedDaemon, neighbour: Host
) -> None:
    web = moored.sleeper("web", "-p", "127.0.0.1:18082:80")
    web.serve(80, "local")
    assert moored.host.word("127.0.0.1", 18082) == "local"
    assert moored.host.word(moored.host.address, 18082) == ""
    assert neighbour.word(moored.host.address, 18082, timeout=1) == ""
    web.close()


def test_n7_a_remote_client_is_never_taken_for_a_local_one(
    moored: HostedDaemon, neighbour: Host
) -> None:
    """CVE-2021-20199: who trusts 127.0.0.1 inside the container must not trust the network."""
    web = moored.sleeper("web", "-p", "18083:80", "-p", "18083:80/udp")
    web.serve(80, "web")
    web.serve_udp(80, "web")
    assert neighbour.fetch(moored.host.address, 18083) == f"web {neighbour.address}"
    assert neighbour.ask_udp(moored.host.address, 18083) == f"web {neighbour.address}"
    assert not moored.host.fetch("127.0.0.1", 18083).startswith("web 127.")
    web.close()


def test_ports_of_a_container_on_the_hosts_network_are_discarded_with_a_word(
    moored: HostedDaemon,
) -> None:
    made = moored.cli.run("create", "--network", "host", "-p", "18084:80", "busybox", "true")
    assert made.code == 0
    assert "Published ports are discarded when using host network mode" in made.err


def test_ranges_and_random_ports(moored: HostedDaemon) -> None:
    web = moored.sleeper("web", "-p", "18100-18102:90-92", "-p", "80", "-P")
    for port in (90, 91, 92, 80):
        web.serve(port, f"p{port}")
    for offset in range(3):
        assert moored.host.word("127.0.0.1", 18100 + offset) == f"p{90 + offset}"
    random = int(moored.docker("port", "web", "80/tcp").splitlines()[0].rpartition(":")[2])
    assert moored.host.word("127.0.0.1", random) == "p80"
    web.close()


def test_one_of_a_range_is_taken_for_a_single_port(moored: HostedDaemon) -> None:
    for name in ("one", "two"):
        moored.sleeper(name, "-p", "18110-18111:80")
    ports = {moored.docker("port", name, "80/tcp").splitlines()[0] for name in ("one", "two")}
    assert ports == {"0.0.0.0:18110", "0.0.0.0:18111"}
    failed = moored.cli.run("run", "-d", "-p", "18110-18111:80", "busybox", "sleep", "9")
    assert failed.code == 125
    assert "all ports are allocated" in failed.err


def test_a_taken_port_gives_dockers_message_and_is_free_when_its_container_stops(
    moored: HostedDaemon,
) -> None:
    moored.sleeper("first", "-p", "18120:80")
    second = moored.cli.run(
        "run", "-d", "--name", "second", "-p", "18120:80", "busybox", "sleep", "9"
    )
    assert second.code == 125
    endpoint = "driver failed programming external connectivity on endpoint second ("
    assert f"failed to set up container networking: {endpoint}" in second.err
    taken = "Bind for 0.0.0.0:18120 failed: port is already allocated"
    assert f"{taken} (container first holds it)" in second.err
    named = second.err.partition(endpoint)[2].partition(")")[0]
    assert len(named) == 64
    moored.docker("stop", "-t", "0", "first")
    moored.docker("start", "second")


def test_a_port_of_a_host_program_is_not_taken_away(moored: HostedDaemon) -> None:
    with moored.host.socket("127.0.0.1", socket.SOCK_STREAM) as program:
        program.bind(("", 18130))
        program.listen()
        failed = moored.cli.run("run", "-d", "-p", "18130:80", "busybox", "sleep", "9")
        assert failed.code == 125
        assert "failed to bind host port 0.0.0.0:18130/tcp: address already in use" in failed.err
        assert f"(pid {os.getpid()}) of this host listens there" in failed.err
    moored.sleeper("held", "-p", "18130:80")
    with (
        moored.host.socket("127.0.0.1", socket.SOCK_STREAM) as program,
        pytest.raises(OSError, match="in use"),
    ):
        program.bind(("", 18130))  # and the other way round


def test_traffic_survives_a_killed_daemon_and_the_next_one_takes_over(
    moored: HostedDaemon, neighbour: Host
) -> None:
    web = moored.sleeper("web", "-p", "18140:80")
    web.serve(80, "web")
    moored.kill()
    assert neighbour.word(moored.host.address, 18140) == "web"
    moored.start()
    assert neighbour.word(moored.host.address, 18140) == "web"
    failed = moored.cli.run("run", "-d", "-p", "18140:80", "busybox", "sleep", "9")
    assert "port is already allocated" in failed.err
    moored.docker("rm", "-f", "web")
    assert neighbour.word(moored.host.address, 18140, timeout=1) == ""
    moored.sleeper("again", "-p", "18140:80")
    web.close()


@pytest.mark.parametrize("end", ["rm -f", "stop -t 0", "kill"])
def test_the_port_is_closed_before_the_end_is_answered(
    moored: HostedDaemon, neighbour: Host, end: str
) -> None:
    web = moored.sleeper("web", "-p", "18145:80")
    web.serve(80, "web")  # lives on in the namespace when the container is gone
    assert neighbour.word(moored.host.address, 18145) == "web"
    faults = moored.root / "faults"
    faults.write_text("netlink.nft.run=sleep:0.5")  # in its thread: all else goes on
    try:
        moored.docker(*end.split(), "web")
        assert neighbour.word(moored.host.address, 18145, timeout=1) == ""
    finally:
        faults.write_text("")
        web.close()


@pytest.mark.parametrize(
    "damage", ["flush ruleset", "delete table inet {}", "flush chain inet {} prerouting"]
)
def test_broken_rules_are_noticed_and_mended(
    moored: HostedDaemon, neighbour: Host, damage: str
) -> None:
    web = moored.sleeper("web", "-p", "18150:80")
    web.serve(80, "web")
    table = f"moorage_{moored.instance}"
    moored.host.run("nft", damage.format(table))
    wait_until(lambda: neighbour.word(moored.host.address, 18150, timeout=0.5) == "web")
    web.close()


def test_rules_of_others_are_left_alone(moored: HostedDaemon) -> None:
    moored.host.run("nft", "add table inet mine; add chain inet mine input { counter; }")
    try:
        before = moored.host.run("nft", "list", "table", "inet", "mine")
        moored.sleeper("web", "-p", "18160:80")
        moored.docker("rm", "-f", "web")
        assert moored.host.run("nft", "list", "table", "inet", "mine") == before
    finally:
        moored.host.run("nft", "delete table inet mine")


@pytest.mark.parametrize("binding", ["99999:80", "80:99999", "1.2.3.400:80:80", "80:80/xyz"])
def test_a_malformed_binding_is_a_bad_request(moored: HostedDaemon, binding: str) -> None:
    host, _, port = binding.rpartition(":")
    address, _, number = host.rpartition(":")
    answer = moored.api.post(
        "/containers/create",
        {
            "Image": "busybox",
            "HostConfig": {
                "PortBindings": {
                    port if "/" in port else f"{port}/tcp": [
                        {"HostIp": address, "HostPort": number}
                    ]
                }
            },
        },
    )
    assert answer.status == 400, answer.body
