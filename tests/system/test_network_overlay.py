"""Overlay networks: three hosts, three daemons, an etcd of three members; kills and cuts."""

import json
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from support.netlab import Host, HostedDaemon, Lab, wait_until

pytestmark = [
    pytest.mark.requires("root", "overlayfs", "docker", "etcd"),
    pytest.mark.timeout(180),
]
TTL_S = 3


class Cluster:
    """Three hosts with an etcd member and a daemon each."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.lab = Lab()
        self.hosts = [self.lab.add_host() for _ in range(3)]
        self.members: dict[int, subprocess.Popen[bytes]] = {}
        for host in self.hosts:
            self.start_member(host)
        wait_until(lambda: self.healthy(self.hosts[0]), 20)
        config: dict[str, object] = {
            "cluster-store": "etcd://" + ",".join(f"{h.address}:2379" for h in self.hosts),
            "cluster-store-opts": {"ttl": str(TTL_S), "address-ttl": "8"},
        }
        self.daemons = [
            self.lab.daemon(
                Path(tempfile.mkdtemp(prefix=f"c{host.number}", dir=root)),
                host,
                config | {"cluster-advertise": host.address, "dns": [host.address]},
            )
            for host in self.hosts
        ]

    def start_member(self, host: Host) -> None:
        """Start the etcd member of a host."""
        peers = ",".join(f"m{h.number}=http://{h.address}:2380" for h in self.hosts)
        here = f"http://{host.address}"
        command = ["etcd", "--name", f"m{host.number}", "--data-dir", f"{self.root}/e{host.number}"]
        command += [
            "--listen-client-urls",
            f"{here}:2379",
            "--advertise-client-urls",
            f"{here}:2379",
        ]
        command += ["--listen-peer-urls", f"{here}:2380", "--initial-cluster", peers]
        command += ["--initial-advertise-peer-urls", f"{here}:2380", "--heartbeat-interval", "50"]
        command += ["--election-timeout", "500"]
        self.members[host.number] = subprocess.Popen(
            [*host.prefix(), *command], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )

    def stop_member(self, host: Host) -> None:
        """Kill the etcd member of a host."""
        process = self.members.pop(host.number)
        process.kill()
        process.wait()

    def healthy(self, host: Host) -> bool:
        """Whether a host's member answers with a majority behind it."""
        with host.socket(host.address, socket.SOCK_STREAM, 1) as sock, suppress(OSError):
            sock.connect((host.address, 2379))
            sock.sendall(b"GET /health HTTP/1.0\r\n\r\n")
            return b'"true"' in sock.recv(4000)
        return False

    def end_leases(self) -> None:
        """End all leases behind the hosts' backs, as a store does that has missed renewals."""
        for lease in self.ask("lease/leases", {})["leases"]:
            self.ask("lease/revoke", {"ID": lease["ID"]})

    def ask(self, method: str, request: dict[str, str]) -> dict[str, Any]:
        """Ask the first host's member, past all daemons."""
        body = json.dumps(request).encode()
        with self.hosts[0].socket(self.hosts[0].address, socket.SOCK_STREAM, 5) as sock:
            sock.connect((self.hosts[0].address, 2379))
            sock.sendall(
                f"POST /v3/{method} HTTP/1.0\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body
            )
            with sock.makefile("rb") as stream:
                answer = stream.read().partition(b"\r\n\r\n")[2]
        found: dict[str, Any] = json.loads(answer)
        return found

    def close(self) -> None:
        """Take all away."""
        self.lab.close()
        for process in self.members.values():
            process.kill()
            process.wait()


@pytest.fixture(scope="module")
def shared(kit_root: Path) -> Iterator[Cluster]:
    root = Path(tempfile.mkdtemp(prefix="o", dir=kit_root))
    cluster = Cluster(root)
    try:
        yield cluster
    finally:
        cluster.close()
        shutil.rmtree(root)


@pytest.fixture
def cluster(shared: Cluster) -> Iterator[Cluster]:
    yield shared
    for host, daemon in zip(shared.hosts, shared.daemons, strict=True):
        shared.lab.mend(host)
        if host.number not in shared.members:
            shared.start_member(host)
        if daemon.process is None:
            daemon.start()
    wait_until(lambda: all(map(shared.healthy, shared.hosts)), 20)
    for daemon in shared.daemons:
        for name in daemon.docker("ps", "-aq").split():
            daemon.docker("rm", "-f", name)
    wait_until(lambda: not any(map(remove_networks, shared.daemons)), 20)


def overlays(daemon: HostedDaemon) -> list[str]:
    listed = daemon.docker("network", "ls", "--format", "{{.Name}}", "-f", "driver=overlay")
    return listed.split()


def remove_networks(daemon: HostedDaemon) -> list[str]:
    """Try to remove the overlay networks; return those that are left."""
    for name in overlays(daemon):
        daemon.cli.run("network", "rm", name)
    return overlays(daemon)


def make_network(cluster: Cluster, name: str, *options: str) -> None:
    cluster.daemons[0].docker("network", "create", "-d", "overlay", "--attachable", *options, name)
    wait_until(lambda: all(name in overlays(daemon) for daemon in cluster.daemons))


def test_containers_of_three_hosts_share_a_network_and_its_names(cluster: Cluster) -> None:
    make_network(cluster, "wide", "--subnet", "10.200.0.0/24", "--ipv6")
    places = [
        daemon.sleeper(f"c{n}", "--network", "wide") for n, daemon in enumerate(cluster.daemons)
    ]
    addresses = [d.address(f"c{n}", "wide") for n, d in enumerate(cluster.daemons)]
    assert len(set(addresses)) == 3
    for place, word in zip(places, ("zero", "one", "two"), strict=True):
        place.serve(80, word)
    wanted = [("NOERROR", [address]) for address in addresses]
    wait_until(lambda: all([p.resolve(f"c{n}") for n in range(3)] == wanted for p in places))
    for place in places:
        assert [place.word(address, 80) for address in addresses] == ["zero", "one", "two"]
    six = cluster.daemons[1].address6("c1", "wide")
    assert places[0].word(six, 80) == "one"
    # the way out leads through the container's own host
    outside = cluster.lab.hosts[2]
    outside.serve(8099, "outside")
    assert places[0].fetch(outside.address, 8099) == f"outside {cluster.hosts[0].address}"
    for place in (*places, outside):
        place.close()


def test_published_ports_of_an_overlay_container(cluster: Cluster) -> None:
    make_network(cluster, "wide")
    web = cluster.daemons[0].sleeper("web", "--network", "wide", "-p", "18300:80")
    web.serve(80, "web")
    assert cluster.hosts[1].word(cluster.hosts[0].address, 18300) == "web"
    web.close()


def test_hosts_that_start_containers_at_once_never_share_an_address(cluster: Cluster) -> None:
    make_network(cluster, "race", "--subnet", "10.201.0.0/24")
    running = [
        subprocess.Popen(
            ["docker", "run", "-d", "--network", "race", "busybox", "sleep", "3600"],
            env=daemon.cli.environment,
            stdout=subprocess.DEVNULL,
        )
        for _ in range(4)
        for daemon in cluster.daemons
    ]
    assert [process.wait(60) for process in running] == [0] * 12
    found = [
        daemon.address(name, "race")
        for daemon in cluster.daemons
        for name in daemon.docker("ps", "-q").split()
    ]
    assert len(found) == len(set(found)) == 12


def test_networks_made_at_once_have_subnets_and_ids_of_their_own(cluster: Cluster) -> None:
    running = [
        subprocess.Popen(
            ["docker", "network", "create", "-d", "overlay", f"n{n}{daemon.host.number}"],
            env=daemon.cli.environment,
            stdout=subprocess.DEVNULL,
        )
        for n in range(3)
        for daemon in cluster.daemons
    ]
    assert [process.wait(60) for process in running] == [0] * 9
    listed = cluster.daemons[0].docker("network", "ls", "-q", "-f", "driver=overlay").split()
    subnets = cluster.daemons[0].docker(
        "network", "inspect", "-f", "{{(index .IPAM.Config 0).Subnet}}", *listed
    )
    assert len(set(subnets.split())) == 9
    taken = cluster.daemons[1].cli.run("network", "create", "-d", "overlay", "n01")
    assert "network with name n01 already exists" in taken.err


def test_a_dead_hosts_entries_end_and_its_addresses_later(cluster: Cluster) -> None:
    make_network(cluster, "wide", "--subnet", "10.202.0.0/24")
    here = cluster.daemons[0].sleeper("here", "--network", "wide")
    cluster.daemons[2].sleeper("doomed", "--network", "wide")
    wait_until(lambda: here.resolve("doomed")[1] != [])
    lost = cluster.daemons[2].address("doomed", "wide")
    cluster.lab.cut(cluster.hosts[2])
    cluster.daemons[2].kill()
    wait_until(lambda: here.resolve("doomed")[1] == [], 5 * TTL_S)
    # its address is not handed out while the host may still be using it
    cluster.daemons[1].sleeper("next", "--network", "wide")
    assert cluster.daemons[1].address("next", "wide") != lost
    cluster.lab.mend(cluster.hosts[2])
    cluster.daemons[2].start()
    wait_until(lambda: here.resolve("doomed") == ("NOERROR", [lost]), 10 * TTL_S)


def test_a_partition_heals(cluster: Cluster) -> None:
    make_network(cluster, "wide")
    one = cluster.daemons[0].sleeper("one", "--network", "wide")
    two = cluster.daemons[1].sleeper("two", "--network", "wide")
    two.serve(80, "two")
    address = cluster.daemons[1].address("two", "wide")
    wait_until(lambda: one.word(address, 80, timeout=0.5) == "two")
    cluster.lab.cut(cluster.hosts[1])
    assert one.word(address, 80, timeout=0.5) == ""
    time.sleep(TTL_S + 1)
    refused = cluster.daemons[1].cli.run("run", "-d", "--network", "wide", "busybox", "true")
    assert "cannot reach the cluster store" in refused.err
    cluster.lab.mend(cluster.hosts[1])
    wait_until(lambda: one.word(address, 80, timeout=0.5) == "two", 30)
    wait_until(lambda: one.resolve("two") == ("NOERROR", [address]), 30)
    two.close()


def test_a_host_given_up_unnoticed_joins_again_with_its_next_container(cluster: Cluster) -> None:
    make_network(cluster, "wide")
    here = cluster.daemons[0].sleeper("here", "--network", "wide")
    cluster.end_leases()
    cluster.daemons[1].sleeper("next", "--network", "wide")
    wait_until(lambda: here.resolve("next")[1] != [], 5 * TTL_S)


def test_a_host_cut_off_too_long_stops_using_its_addresses_before_others_may(
    cluster: Cluster,
) -> None:
    make_network(cluster, "wide", "--subnet", "10.203.0.0/24")
    here = cluster.daemons[0].sleeper("here", "--network", "wide")
    gone = cluster.daemons[2].sleeper("gone", "--network", "wide")
    here.serve(80, "here")
    network = cluster.daemons[2].docker("network", "inspect", "-f", "{{.Id}}", "wide")
    tunnel = f"vx-{network[:12]}"
    cluster.lab.cut(cluster.hosts[2])
    wait_until(lambda: "state DOWN" in cluster.hosts[2].run("ip", "link", "show", tunnel), 20)
    cluster.lab.mend(cluster.hosts[2])
    wait_until(lambda: "state DOWN" not in cluster.hosts[2].run("ip", "link", "show", tunnel), 30)
    address = cluster.daemons[0].address("here", "wide")
    wait_until(lambda: gone.word(address, 80, timeout=0.5) == "here", 30)
    here.close()


def test_a_host_whose_daemon_is_dead_keeps_its_names_and_addresses(cluster: Cluster) -> None:
    make_network(cluster, "wide", "--subnet", "10.205.0.0/24")
    here = cluster.daemons[0].sleeper("here", "--network", "wide")
    there = cluster.daemons[2].sleeper("there", "--network", "wide")
    there.serve(80, "there")
    address = cluster.daemons[2].address("there", "wide")
    network = cluster.daemons[2].docker("network", "inspect", "-f", "{{.Id}}", "wide")
    tunnel = f"vx-{network[:12]}"
    wait_until(lambda: here.word(address, 80, timeout=0.5) == "there")
    cluster.daemons[2].kill()
    time.sleep(4 * TTL_S)  # longer than either lease
    assert here.resolve("there") == ("NOERROR", [address])
    assert here.word(address, 80) == "there"
    cluster.lab.cut(cluster.hosts[2])
    wait_until(lambda: "state DOWN" in cluster.hosts[2].run("ip", "link", "show", tunnel), 20)
    cluster.lab.mend(cluster.hosts[2])
    cluster.daemons[2].start()
    wait_until(lambda: here.word(address, 80, timeout=0.5) == "there", 30)
    there.close()


def test_one_etcd_member_may_be_missing(cluster: Cluster) -> None:
    make_network(cluster, "wide")
    cluster.stop_member(cluster.hosts[0])
    one = cluster.daemons[0].sleeper("one", "--network", "wide")
    cluster.daemons[1].sleeper("two", "--network", "wide")
    wait_until(lambda: one.resolve("two")[0] == "NOERROR", 15)


@pytest.mark.parametrize("device", ["ov", "vx"])
def test_a_bridge_or_tunnel_deleted_by_hand_comes_back(cluster: Cluster, device: str) -> None:
    make_network(cluster, "hand", "--subnet", "10.206.0.0/24")
    one = cluster.daemons[0].sleeper("one", "--network", "hand")
    beside = cluster.daemons[0].sleeper("beside", "--network", "hand")
    two = cluster.daemons[1].sleeper("two", "--network", "hand")
    two.serve(80, "two")
    one.serve(80, "one")
    address = cluster.daemons[1].address("two", "hand")
    wait_until(lambda: one.word(address, 80, timeout=1) == "two", 20)
    network = cluster.daemons[0].docker("network", "inspect", "-f", "{{.Id}}", "hand")[:12]
    cluster.hosts[0].run("ip", "link", "del", f"{device}-{network}")
    wait_until(lambda: one.word(address, 80, timeout=1) == "two", 20)
    assert beside.word(cluster.daemons[0].address("one", "hand"), 80) == "one"
    # and while the daemon is away
    cluster.daemons[0].stop()
    cluster.hosts[0].run("ip", "link", "del", f"{device}-{network}")
    cluster.daemons[0].start()
    wait_until(lambda: one.word(address, 80, timeout=1) == "two", 20)
    assert beside.word(cluster.daemons[0].address("one", "hand"), 80) == "one"
    one.close()
    two.close()


def test_a_daemon_that_starts_without_the_store_joins_when_it_comes(cluster: Cluster) -> None:
    make_network(cluster, "late", "--subnet", "10.207.0.0/24")
    one = cluster.daemons[0].sleeper("one", "--network", "late")
    two = cluster.daemons[1].sleeper("two", "--network", "late")
    two.serve(80, "two")
    address = cluster.daemons[1].address("two", "late")
    wait_until(lambda: one.word(address, 80, timeout=1) == "two", 20)
    for host in cluster.hosts:
        cluster.stop_member(host)
    cluster.daemons[0].restart()
    refused = cluster.daemons[0].cli.run("run", "--rm", "--network", "late", "busybox", "true")
    assert refused.code == 125
    cluster.daemons[0].sleeper("local")  # what needs no store goes on
    for host in cluster.hosts:
        cluster.start_member(host)
    wait_until(lambda: all(map(cluster.healthy, cluster.hosts)), 20)
    wait_until(lambda: one.word(address, 80, timeout=1) == "two", 20)
    wait_until(lambda: one.resolve("two")[1] == [address], 20)
    cluster.daemons[0].docker("run", "--rm", "--network", "late", "busybox", "true")
    two.close()


def test_a_network_in_use_elsewhere_is_not_removed(cluster: Cluster) -> None:
    make_network(cluster, "wide")
    cluster.daemons[1].sleeper("user", "--network", "wide")
    failed = cluster.daemons[0].cli.run("network", "rm", "wide")
    assert "has active endpoints" in failed.err


def test_without_a_cluster_store_an_overlay_is_refused_with_the_reason(
    cluster: Cluster, kit_root: Path
) -> None:
    del cluster
    lab = Lab()
    try:
        root = Path(tempfile.mkdtemp(prefix="x", dir=kit_root))
        lone: HostedDaemon = lab.daemon(root, lab.add_host())
        failed = lone.cli.run("network", "create", "-d", "overlay", "wide")
        assert failed.code == 1
        assert "cluster-store" in failed.err
    finally:
        lab.close()


@pytest.mark.requires("wg", "wireguard-go")
def test_n6_an_encrypted_network_sends_and_takes_no_clear_packets(cluster: Cluster) -> None:
    """CVE-2023-28840, 28841, 28842."""
    make_network(cluster, "secret", "--opt", "encrypted", "--subnet", "10.204.0.0/24")
    one = cluster.daemons[0].sleeper("one", "--network", "secret")
    two = cluster.daemons[1].sleeper("two", "--network", "secret")
    two.serve(80, "two")
    address = cluster.daemons[1].address("two", "secret")
    ears = cluster.hosts[0].inside(
        lambda: socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3))
    )
    with ears:
        ears.bind(("eth0", 3))
        ears.settimeout(0.5)
        wait_until(lambda: one.word(address, 80, timeout=1) == "two", 20)
        seen = b""
        with suppress(TimeoutError):
            for _ in range(500):
                seen += ears.recv(4000)
    assert b"two " not in seen
    # a forged clear packet into the network is dropped by the firewall
    network = cluster.daemons[1].docker("network", "inspect", "-f", "{{.Id}}", "secret")[:12]
    rules = cluster.hosts[1].run("nft", "list", "chain", "inet",
                                 f"moorage_{cluster.daemons[1].instance}", "tunnel_in")  # fmt: skip
    assert "udp dport 4790" in rules
    before = rules.split("packets ")[1].split(" ")[0]
    with cluster.hosts[2].socket(cluster.hosts[1].address, socket.SOCK_DGRAM) as forger:
        forger.sendto(b"\x08\0\0\0" + bytes(60), (cluster.hosts[1].address, 4790))
    rules = cluster.hosts[1].run("nft", "list", "chain", "inet",
                                 f"moorage_{cluster.daemons[1].instance}", "tunnel_in")  # fmt: skip
    assert int(rules.split("packets ")[1].split(" ")[0]) == int(before) + 1
    assert network
    two.close()
