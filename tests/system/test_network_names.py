"""The embedded name server: what containers find under which name."""

import os
import signal
import socket
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import dnslib  # type: ignore[import-untyped]
import pytest

from support.netlab import Host, HostedDaemon, Place, wait_until

pytestmark = pytest.mark.requires("root", "overlayfs", "docker")


@pytest.fixture
def net(moored: HostedDaemon) -> HostedDaemon:
    moored.docker("network", "create", "--ipv6", "net")
    return moored


def test_names_aliases_ids_and_full_names(net: HostedDaemon) -> None:
    net.sleeper("web", "--network", "net", "--network-alias", "www", "--hostname", "box")
    asker = net.sleeper("asker", "--network", "net")
    address = net.address("web", "net")
    short = net.docker("ps", "-q", "--filter", "name=web")
    for name in ("web", "WEB", "www", "box", short, "web.net", "www.net"):
        assert asker.resolve(name) == ("NOERROR", [address]), name
    assert asker.resolve("web", "AAAA") == ("NOERROR", [net.address6("web", "net")])
    assert asker.resolve("web", "MX") == ("NOERROR", [])
    assert asker.resolve("web", tcp=True) == ("NOERROR", [address])
    assert asker.resolve("web", edns=True) == ("NOERROR", [address])


def test_the_resolver_of_the_image_uses_it(net: HostedDaemon) -> None:
    net.sleeper("web", "--network", "net")
    said = net.docker("run", "--rm", "--network", "net", "busybox", "nslookup", "web")
    assert net.address("web", "net") in said
    assert net.docker("run", "--rm", "--network", "net", "busybox", "ping", "-c1", "-w2", "web")


def test_an_alias_of_several_turns_round(net: HostedDaemon) -> None:
    for number in range(3):
        net.sleeper(f"w{number}", "--network", "net", "--network-alias", "pool")
    asker = net.sleeper("asker", "--network", "net")
    answers = [asker.resolve("pool")[1] for _ in range(6)]
    assert {frozenset(a) for a in answers} == {frozenset(answers[0])}
    assert len(answers[0]) == 3
    assert len({a[0] for a in answers}) == 3  # each is first at some time


def test_reverse_look_ups(net: HostedDaemon) -> None:
    net.sleeper("web", "--network", "net")
    asker = net.sleeper("asker", "--network", "net")
    name = ".".join(reversed(net.address("web", "net").split("."))) + ".in-addr.arpa"
    assert asker.resolve(name, "PTR") == ("NOERROR", ["web.net."])


def test_links_are_names_of_one_container_alone(net: HostedDaemon) -> None:
    net.sleeper("db", "--network", "net")
    linked = net.sleeper("linked", "--network", "net", "--link", "db:store")
    other = net.sleeper("other", "--network", "net")
    assert linked.resolve("store") == ("NOERROR", [net.address("db", "net")])
    assert other.resolve("store")[1] == []


def test_names_follow_connect_disconnect_rename_and_stop(net: HostedDaemon) -> None:
    net.sleeper("web")
    asker = net.sleeper("asker", "--network", "net")
    assert asker.resolve("web")[1] == []
    net.docker("network", "connect", "--alias", "site", "net", "web")
    assert asker.resolve("site") == ("NOERROR", [net.address("web", "net")])
    net.docker("rename", "web", "shop")
    assert asker.resolve("shop")[0] == "NOERROR"
    assert asker.resolve("web")[1] == []
    net.docker("network", "disconnect", "net", "shop")
    assert asker.resolve("shop")[1] == []
    assert net.sleeper("third").resolve("shop")[1] == [net.address("shop")]
    net.docker("rm", "-f", "shop")
    assert asker.resolve("shop")[1] == []


def test_names_on_the_default_bridge_and_the_way_to_the_host(net: HostedDaemon) -> None:
    net.sleeper("web")
    asker = net.sleeper("asker")
    assert asker.resolve("web") == ("NOERROR", [net.address("web")])
    gateway = net.docker("inspect", "-f", "{{.NetworkSettings.Networks.bridge.Gateway}}", "web")
    net.host.serve(8090, "host")
    assert asker.resolve("host.docker.internal") == ("NOERROR", [gateway])
    assert asker.word(gateway, 8090) == "host"
    net.host.close()


def test_a_program_may_bind_port_53(net: HostedDaemon) -> None:
    place = net.sleeper("dns", "--network", "net")
    place.serve_udp(53, "own")
    place.serve(53, "own")
    assert place.resolve("dns")[0] == "NOERROR"
    place.close()


@contextmanager
def upstream(host: Host, behaviour: str) -> Iterator[list[str]]:
    """Run a resolver on *host* that answers 192.0.2.53, refuses, or says nothing."""
    asked: list[str] = []
    sock = host.socket(host.address, socket.SOCK_DGRAM, 0.1)
    sock.bind((host.address, 53))  # or the answer might come from another address of the host
    ended = threading.Event()

    def loop() -> None:
        while not ended.is_set():
            try:
                data, peer = sock.recvfrom(4000)
            except TimeoutError:
                continue
            query = dnslib.DNSRecord.parse(data)
            asked.append(str(query.q.qname))
            answer = query.reply()
            if behaviour == "refuses":
                answer.header.rcode = 5
            else:
                answer.add_answer(*dnslib.RR.fromZone(f"{query.q.qname} 60 A 192.0.2.53"))
            if behaviour != "silent":
                sock.sendto(answer.pack(), peer)

    thread = threading.Thread(target=loop, daemon=True)
    thread.start()
    try:
        yield asked
    finally:
        ended.set()
        thread.join(2)
        sock.close()


def test_other_names_are_asked_of_the_given_servers(net: HostedDaemon, neighbour: Host) -> None:
    with upstream(neighbour, "answers") as asked:
        place = net.sleeper("asker", "--network", "net", "--dns", neighbour.address)
        assert place.resolve("www.example.com") == ("NOERROR", ["192.0.2.53"])
        assert place.resolve("asker")[0] == "NOERROR"
        assert asked == ["www.example.com."]  # names of containers are told to nobody


@pytest.mark.parametrize("behaviour", ["refuses", "silent"])
def test_the_next_server_is_asked_when_one_fails(
    net: HostedDaemon, neighbour: Host, behaviour: str
) -> None:
    with upstream(net.host, behaviour) as first, upstream(neighbour, "answers") as second:
        options = ("--dns", net.host.address, "--dns", neighbour.address)
        place = net.sleeper("asker", "--network", "net", *options)
        names = ["www.example.com", "www.example.org"]
        for name in names:
            assert place.resolve(name) == ("NOERROR", ["192.0.2.53"])
        assert second == [f"{name}." for name in names]
        # one that says nothing is asked last for a while; one that refuses costs no time
        assert first == [f"{name}." for name in names[: 1 if behaviour == "silent" else 2]]


def test_names_are_answered_while_the_daemon_is_dead_and_after(net: HostedDaemon) -> None:
    net.sleeper("web", "--network", "net")
    asker = net.sleeper("asker", "--network", "net")
    want = ("NOERROR", [net.address("web", "net")])
    net.kill()
    assert asker.resolve("web") == want
    net.start()
    assert asker.resolve("web") == want
    net.sleeper("new", "--network", "net")
    assert asker.resolve("new")[0] == "NOERROR"


def test_a_killed_name_server_comes_back(net: HostedDaemon) -> None:
    net.sleeper("web", "--network", "net")
    asker = net.sleeper("asker", "--network", "net")
    for process in _name_servers(net):
        os.kill(process, signal.SIGKILL)
    deadline = time.monotonic() + 5
    while _try(asker) != "NOERROR":
        assert time.monotonic() < deadline


def test_containers_that_start_while_the_name_server_does_have_names(net: HostedDaemon) -> None:
    net.sleeper("web", "--network", "net")
    before = net.log.stat().st_size
    for process in _name_servers(net):
        os.kill(process, signal.SIGKILL)
    with ThreadPoolExecutor() as threads:
        askers = list(
            threads.map(lambda n: net.sleeper(f"n{n}", "--network", "net"), range(6), timeout=60)
        )
    for asker in askers:
        assert asker.resolve("web")[0] == "NOERROR"
    assert b"no names for" not in net.log.read_bytes()[before:]


def _name_servers(daemon: HostedDaemon) -> list[int]:
    wanted = str(daemon.exec_root / "names.sock").encode()
    return [
        int(path.parent.name)
        for path in Path("/proc").glob("[0-9]*/cmdline")
        if wanted in path.read_bytes()
    ]


def _try(place: Place) -> str:
    try:
        return place.resolve("web", timeout=0.3)[0]
    except OSError:
        return ""


def test_hosts_and_resolv_conf(net: HostedDaemon) -> None:
    options = ("--dns-search", "corp.example", "--dns-option", "timeout:3", "--add-host")
    net.sleeper("web", "--network", "net", *options, "db.corp:10.1.2.3", "-h", "box.corp.example")
    resolv = net.docker("exec", "web", "cat", "/etc/resolv.conf").splitlines()
    assert resolv == [
        "nameserver 127.0.0.11",
        "search corp.example",
        "options timeout:3 ndots:0",
    ]
    hosts = net.docker("exec", "web", "cat", "/etc/hosts").splitlines()
    assert "10.1.2.3\tdb.corp" in hosts
    assert f"{net.address('web', 'net')}\tbox.corp.example box" in hosts
    gateway = net.docker(
        "run", "--rm", "--add-host", "gw:host-gateway", "busybox", "cat", "/etc/hosts"
    )
    assert "\tgw" in gateway


@pytest.mark.parametrize(
    "change",
    [
        {"HostConfig": {"ExtraHosts": ["a:1.2.3.4\n6.6.6.6 bank.example"]}},
        {"HostConfig": {"ExtraHosts": ["a\n6.6.6.6 bank:1.2.3.4"]}},
        {"HostConfig": {"DnsSearch": ["a\nnameserver 6.6.6.6"]}},
        {"HostConfig": {"DnsOptions": ["ndots:1\nnameserver 6.6.6.6"]}},
        {"HostConfig": {"Dns": ["8.8.8.8\nnameserver 6.6.6.6"]}},
        {"Hostname": "a\n6.6.6.6 bank"},
        {"Domainname": "a\n6.6.6.6 bank"},
        {"NetworkingConfig": {"EndpointsConfig": {"net": {"Aliases": ["a\n6.6.6.6 bank"]}}}},
    ],
)
def test_n9_nothing_is_injected_into_name_files(
    net: HostedDaemon, change: dict[str, object]
) -> None:
    answer = net.api.post("/containers/create", {"Image": "busybox", **change})
    assert answer.status == 400, answer.body


def test_a_link_on_a_users_network_may_lead_to_a_container_that_comes_later(
    moored: HostedDaemon,
) -> None:
    moored.docker("network", "create", "net")
    place = moored.sleeper("early", "--network", "net", "--link", "late:store")
    assert place.resolve("store")[1] == []
    moored.sleeper("late", "--network", "net")
    wait_until(lambda: place.resolve("store")[1] == [moored.address("late", "net")])
    failed = moored.cli.run("run", "--rm", "--link", "nosuch", "busybox", "true")
    assert "could not get container for nosuch: No such container: nosuch" in failed.err


@pytest.mark.parametrize("kind", ["network", "ipc", "pid"])
def test_a_namespace_of_a_container_that_is_not_there_is_no_missing_image(
    moored: HostedDaemon, kind: str
) -> None:
    failed = moored.cli.run("run", "--rm", f"--{kind}", "container:nosuch", "busybox", "true")
    assert failed.code == 125
    assert "No such container: nosuch" in failed.err
    assert "Unable to find image" not in failed.err
