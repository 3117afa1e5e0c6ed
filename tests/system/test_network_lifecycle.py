"""Networks through the official client, from create to remove, with Docker's words."""

import json
import socket
import subprocess
import tempfile
from contextlib import suppress
from pathlib import Path

import pytest

from support.netlab import Host, HostedDaemon, wait_until

pytestmark = pytest.mark.requires("root", "overlayfs", "docker")


def test_create_with_everything_and_inspect_it(moored: HostedDaemon) -> None:
    moored.docker(
        "network", "create", "--subnet", "10.90.0.0/16", "--ip-range", "10.90.5.0/24",
        "--gateway", "10.90.0.254", "--aux-address", "router=10.90.5.0", "--label", "tier=web",
        "--attachable", "-o", "com.docker.network.driver.mtu=1300", "full",
    )  # fmt: skip
    shown = json.loads(moored.docker("network", "inspect", "full"))[0]
    assert shown["IPAM"]["Config"] == [
        {
            "Subnet": "10.90.0.0/16",
            "IPRange": "10.90.5.0/24",
            "Gateway": "10.90.0.254",
            "AuxiliaryAddresses": {"router": "10.90.5.0"},
        }
    ]
    assert (shown["Labels"], shown["Attachable"]) == ({"tier": "web"}, True)
    moored.sleeper("one", "--network", "full")
    assert moored.address("one", "full") == "10.90.5.1"
    assert "mtu 1300" in moored.docker("exec", "one", "ip", "link", "show", "eth0")
    status = json.loads(moored.docker("network", "inspect", "full"))[0]
    assert [c["Name"] for c in status["Containers"].values()] == ["one"]


def test_fixed_addresses_and_interface_options(moored: HostedDaemon) -> None:
    moored.docker("network", "create", "--ipv6", "--subnet", "10.91.0.0/24",
                  "--subnet", "fd91::/64", "fixed")  # fmt: skip
    option = "name=fixed,ip=10.91.0.77,ip6=fd91::77,mac-address=02:11:22:33:44:55"
    option += ",driver-opt=com.docker.network.endpoint.ifname=lan0"
    sysctls = "net.ipv4.conf.IFNAME.log_martians=1,net.ipv4.conf.IFNAME.rp_filter=2"
    option += f',"driver-opt=com.docker.network.endpoint.sysctls={sysctls}"'
    place = moored.sleeper("one", "--network", option)

    for name, value in (("log_martians", "1"), ("rp_filter", "2")):
        path = Path(f"/proc/sys/net/ipv4/conf/lan0/{name}")
        assert place.inside(path.read_text).strip() == value
    shown = moored.docker("exec", "one", "ip", "addr", "show", "lan0")
    assert "10.91.0.77/24" in shown
    assert "fd91::77/64" in shown
    assert "02:11:22:33:44:55" in shown
    moored.docker("restart", "-t", "0", "one")
    assert moored.address("one", "fixed") == "10.91.0.77"


def test_several_networks_and_the_way_out(moored: HostedDaemon, neighbour: Host) -> None:
    moored.docker("network", "create", "--internal", "back")
    moored.docker("network", "create", "front")
    neighbour.serve(8200, "out")
    place = moored.sleeper("one", "--network", "back", "--network", "name=front,gw-priority=1")
    assert place.word(neighbour.address, 8200) == "out"
    moored.docker("network", "disconnect", "front", "one")
    assert place.word(neighbour.address, 8200, timeout=0.5) == ""
    moored.docker("network", "connect", "bridge", "one")
    assert place.word(neighbour.address, 8200) == "out"
    neighbour.close()


def test_published_ports_follow_the_way_out(moored: HostedDaemon) -> None:
    moored.docker("network", "create", "a1")
    moored.docker("network", "create", "b1")
    place = moored.sleeper("one", "--network", "a1", "-p", "18500:80")
    place.serve(80, "one")
    moored.docker("network", "connect", "b1", "one")
    moored.docker("network", "disconnect", "a1", "one")
    assert moored.host.word("127.0.0.1", 18500) == "one"
    place.close()


def test_a_stopped_container_keeps_its_networks(moored: HostedDaemon) -> None:
    moored.docker("network", "create", "a1")
    moored.docker("create", "--name", "one", "busybox", "sleep", "3600")
    moored.docker("network", "connect", "a1", "one")
    moored.docker("network", "disconnect", "bridge", "one")
    moored.docker("start", "one")
    template = "{{range $k, $v := .NetworkSettings.Networks}}{{$k}} {{end}}"
    names = moored.docker("inspect", "-f", template, "one")
    assert names.split() == ["a1"]


def test_list_filters_and_prune(moored: HostedDaemon) -> None:
    moored.docker("network", "create", "--label", "x=1", "used")
    moored.docker("network", "create", "--label", "x=2", "free")
    moored.sleeper("one", "--network", "used")

    def names(*filters: str) -> set[str]:
        options = [part for f in filters for part in ("--filter", f)]
        listed = moored.docker("network", "ls", "--format", "{{.Name}}", *options)
        return set(listed.split())

    assert names("label=x") == {"used", "free"}
    assert names("label=x=2") == {"free"}
    assert names("dangling=true") == {"free"}
    assert names("type=builtin") == {"bridge", "host", "none"}
    assert names("driver=host") == {"host"}
    assert names("name=re", "type=custom") == {"free"}
    assert names("name=^(used|fre)$") == {"used"}  # regular expressions
    assert names("name=us[") == set()
    assert names("id=^[0-9a-f]{64}$", "name=used") == {"used"}
    assert moored.docker("network", "prune", "-f", "--filter", "label!=x=2") == ""
    moored.docker("network", "create", "--config-only", "plan")
    assert "free" in moored.docker("network", "prune", "-f")
    assert names("type=custom") == {"used", "plan"}  # a configuration is nobody's to be used
    moored.docker("stop", "-t", "0", "one")
    assert "used" in moored.docker("network", "prune", "-f")
    moored.docker("network", "rm", "plan")


def answers(daemon: HostedDaemon) -> bool:
    with suppress(OSError):
        return daemon.api.get("/_ping").status == 200
    return False


def test_daemons_that_start_together_share_no_bridge_and_no_subnet(
    moored: HostedDaemon, kit_root: Path
) -> None:
    roots = [Path(tempfile.mkdtemp(prefix="n", dir=kit_root)) for _ in range(3)]
    daemons = [HostedDaemon(root, moored.host) for root in roots]
    for daemon in daemons:
        daemon.spawn()
    try:
        wait_until(lambda: all(map(answers, daemons)), 20)
        shown = [d.api.get("/networks/bridge").ok().json() for d in [moored, *daemons]]
        bridges = {n["Options"]["com.docker.network.bridge.name"] for n in shown}
        subnets = {n["IPAM"]["Config"][0]["Subnet"] for n in shown}
        assert len(bridges) == len(subnets) == 4
    finally:
        for daemon in daemons:
            daemon.destroy()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("create", "bridge"), "operation is not permitted on predefined bridge network"),
        (("create", "taken"), "network with name taken already exists"),
        (("rm", "host"), "host is a pre-defined network and cannot be removed"),
        (("rm", "nosuch"), "network nosuch not found"),
        (("rm", "taken"), "has active endpoints"),
        (("inspect", "nosuch"), "network nosuch not found"),
        (("create", "--subnet", "10.92.0.1/24", "x1"), "it should be 10.92.0.0/24"),
        (("create", "--subnet", "10.93.0.128/25", "x1"), "Pool overlaps with other one"),
        (("create", "--subnet", "10.94.0.0/24", "--gateway", "10.95.0.1", "x1"), "gateway"),
        (("create", "--subnet", "10.94.0.0/24", "--gateway", "10.94.0.255", "x1"),
         "failed to allocate gateway (10.94.0.255): Address already in use"),
        (("create", "--subnet", "10.94.0.0/24", "--aux-address", "a=10.94.0.1", "x1"),
         "failed to allocate secondary ip address (a:10.94.0.1): Address already in use"),
        (("create", "--config-from", "taken", "x1"), 'configuration network "taken" does not'),
        (("create", "--scope", "swarm", "x1"), "when swarm is not active"),
        (("create", "-o", "com.docker.network.bridge.name=eth0", "x1"), "eth0 is not a bridge"),
        (("create", "-o", "com.docker.network.driver.mtu=x", "x1"), "mtu"),
        (("create", "-d", "macvlan", "-o", "parent=nosuch0", "x1"), "parent interface nosuch0"),
        (("create", "--ingress", "-d", "overlay", "x1"), "swarm"),
        (("create", "--config-only", "--internal", "x1"),
         "configuration network can only contain network specific fields"),
        (("create", "--config-only", "--attachable", "x1"),
         "configuration network can only contain network specific fields"),
        (("create", "--ipam-driver", "null", "x1"), "ipv4 pool is empty"),
        (("create", "--ipam-driver", "null", "--subnet", "10.94.0.0/24", "x1"),
         "null ipam driver does not handle specific address pool requests"),
        (("create", "-o", "com.docker.network.driver.mtu=-1", "x1"), "invalid MTU number: -1"),
        (("create", "-d", "macvlan", "-o", "parent=eth0.5000", "x1"),
         "vlan id must be between 1-4094, received: 5000"),
        (("connect", "taken", "one"), "endpoint with name one already exists in network taken"),
        (("connect", "host", "one"), "host network"),
        (("connect", "--ip", "10.93.0.9", "bridge", "two"), "user defined networks only"),
        (("connect", "--ip", "10.9.9.9", "taken", "two"),
         "response from daemon: invalid endpoint settings:\nno configured subnet contains IP"),
        (("connect", "--ip", "10.93.0.2", "taken", "two"), "Address already in use"),
        (("disconnect", "taken", "two"), "is not connected to network taken"),
        (("disconnect", "-f", "taken", "two"), "is not connected to network taken"),
    ],
)  # fmt: skip
def test_refusals_in_dockers_words(
    moored: HostedDaemon, arguments: tuple[str, ...], message: str
) -> None:
    moored.docker("network", "create", "--subnet", "10.93.0.0/24", "taken")
    moored.sleeper("one", "--network", "taken", "--ip", "10.93.0.2")
    moored.sleeper("two")
    failed = moored.cli.run("network", *arguments)
    assert failed.code == 1
    assert message in failed.err + failed.out
    assert "x1" not in moored.docker("network", "ls", "--format", "{{.Name}}")


@pytest.mark.parametrize("option", ["inhibit_ipv4=true", "gateway_mode_ipv4=isolated"])
def test_two_containers_share_a_network_of_two_addresses(moored: HostedDaemon, option: str) -> None:
    moored.docker("network", "create", "--internal", "--subnet", "10.92.0.0/31",
                  "-o", f"com.docker.network.bridge.{option}", "pair")  # fmt: skip
    shown = moored.docker("network", "inspect", "-f", "{{(index .IPAM.Config 0).Gateway}}", "pair")
    assert shown == ""
    one, two = (moored.sleeper(name, "--network", "pair") for name in ("one", "two"))
    one.serve(80, "one")
    assert two.word(moored.address("one", "pair"), 80) == "one"
    addresses = {moored.address(name, "pair") for name in ("one", "two")}
    assert addresses == {"10.92.0.0", "10.92.0.1"}
    one.close()


def test_an_exhausted_pool_says_so_and_leaves_nothing(moored: HostedDaemon) -> None:
    moored.docker("network", "create", "--subnet", "10.96.0.0/30", "tiny")
    moored.sleeper("one", "--network", "tiny")
    failed = moored.cli.run("run", "-d", "--name", "two", "--network", "tiny", "busybox", "true")
    assert failed.code == 125
    assert "no available IPv4 addresses" in failed.err
    moored.docker("rm", "-f", "one")
    wait_until(lambda: moored.cli.run("start", "two").code == 0)


def test_macvlan_containers_on_the_wire(moored: HostedDaemon, neighbour: Host) -> None:
    moored.docker("network", "create", "-d", "macvlan", "--subnet", "10.77.0.0/24",
                  "--ip-range", "10.77.0.128/28", "-o", "parent=eth0", "-o", "host_access=true",
                  "wire")  # fmt: skip
    place = moored.sleeper("one", "--network", "wire")
    place.serve(80, "one")
    address = moored.address("one", "wire")
    assert neighbour.word(address, 80) == "one"
    assert moored.host.word(address, 80) == "one"
    # the others on the wire go on finding the host at its own interface
    ears = neighbour.inside(
        lambda: socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(0x0806))
    )
    neighbour.run("ip", "neigh", "flush", "dev", "eth0")
    moored.host.run("ip", "neigh", "flush", "dev", "eth0")
    with ears:
        ears.settimeout(0.2)
        moored.host.serve(18640, "host")
        assert neighbour.word(moored.host.address, 18640) == "host"
        assert moored.host.word(address, 80) == "one"
        assert place.word(moored.host.address, 18640) == "host"
        heard = b""
        with suppress(TimeoutError):
            while True:
                heard += ears.recv(100)
    shown = moored.host.run("ip", "-json", "link", "show", access_of(moored, "wire"))
    access = json.loads(shown)[0]["address"]
    assert bytes.fromhex(access.replace(":", "")) not in heard
    # its Ethernet address is free, though the old namespace is kept alive by the socket in it
    moored.docker("restart", "-t", "0", "one")
    moored.host.close()
    place.close()


def access_of(daemon: HostedDaemon, network: str) -> str:
    return "mh-" + daemon.docker("network", "inspect", "-f", "{{.Id}}", network)[:12]


def test_the_hosts_access_to_a_macvlan_network_comes_back_when_it_is_deleted(
    moored: HostedDaemon,
) -> None:
    moored.docker("network", "create", "-d", "macvlan", "--subnet", "10.77.0.0/24",
                  "--ip-range", "10.77.0.128/28", "-o", "parent=eth0", "-o", "host_access=true",
                  "wire")  # fmt: skip
    place = moored.sleeper("one", "--network", "wire")
    place.serve(80, "one")
    address, access = moored.address("one", "wire"), access_of(moored, "wire")
    moored.host.run("ip", "link", "del", access)
    wait_until(lambda: moored.host.word(address, 80, timeout=0.3) == "one")
    moored.stop()
    moored.host.run("ip", "link", "del", access)
    moored.start()
    assert moored.host.word(address, 80) == "one"
    moored.docker("rm", "-f", "one")
    moored.docker("network", "rm", "wire")
    wait_until(lambda: access not in moored.host.run("ip", "-br", "link"))
    place.close()


def test_macvlan_networks_may_share_a_parent(moored: HostedDaemon, neighbour: Host) -> None:
    wire = ("-d", "macvlan", "-o", "parent=eth0")
    for name, subnet in (("first", "10.77.0"), ("second", "10.71.0")):
        fixed = ("--subnet", f"{subnet}.0/24", "--ip-range", f"{subnet}.128/28")
        moored.docker("network", "create", *wire, *fixed, name)
    failed = moored.cli.run("network", "create", *wire, "-o", "macvlan_mode=passthru", "third")
    assert "cannot use mode passthru, macvlan network" in failed.err
    failed = moored.cli.run("network", "create", "-d", "ipvlan", "-o", "parent=eth0", "third")
    assert "is already using parent interface eth0" in failed.err
    moored.sleeper("two", "--network", "second")
    one = moored.sleeper("one", "--network", "first")
    one.serve(80, "one")
    assert neighbour.word(moored.address("one", "first"), 80) == "one"
    one.close()


def test_a_sub_interface_goes_with_the_last_network_on_it(moored: HostedDaemon) -> None:
    wire = ("-d", "macvlan", "-o", "parent=eth0.7")
    made = moored.cli.run("network", "create", *wire, "--subnet", "10.70.0.0/24", "first")
    if "8021q" in made.err:
        pytest.skip("this kernel makes no 802.1q sub-interfaces")
    moored.docker("network", "create", *wire, "--subnet", "10.71.0.0/24", "second")
    moored.restart()
    moored.docker("network", "rm", "first")
    assert "eth0.7" in links(moored.host)
    moored.docker("network", "rm", "second")
    assert "eth0.7" not in links(moored.host)


def test_a_container_off_its_last_network_stays_off(moored: HostedDaemon) -> None:
    """At its restart it joins no network, until it is connected again."""
    networks = "{{range $name, $_ := .NetworkSettings.Networks}}{{$name}} {{end}}"

    def on() -> list[str]:
        return moored.docker("inspect", "--format", networks, "one").split()

    def interfaces() -> set[str]:
        shown = moored.docker("exec", "one", "ls", "/sys/class/net").split()
        return {name for name in shown if name.startswith("eth")}

    moored.sleeper("one")
    moored.docker("network", "disconnect", "bridge", "one")
    assert on() == []
    again = moored.cli.run("network", "disconnect", "--force", "bridge", "one")
    assert "is not connected to network bridge" in again.err
    moored.docker("restart", "--time", "0", "one")
    assert (on(), interfaces()) == ([], set())
    moored.restart(kill=True)
    assert on() == []
    moored.docker("network", "connect", "bridge", "one")
    assert (on(), interfaces()) == (["bridge"], {"eth0"})
    moored.docker("restart", "--time", "0", "one")
    assert (on(), interfaces()) == (["bridge"], {"eth0"})
    moored.docker("stop", "--time", "0", "one")
    moored.docker("network", "disconnect", "bridge", "one")
    moored.docker("start", "one")
    assert (on(), interfaces()) == ([], set())


def test_a_link_that_is_none_is_refused(moored: HostedDaemon) -> None:
    """The official client looks at links itself; other clients do not."""
    moored.docker("network", "create", "apart")
    moored.sleeper("one")
    body = {"Container": "one", "EndpointConfig": {"Links": ["a:b:c"]}}
    answer = moored.api.post("/networks/apart/connect", body)
    assert (answer.status, answer.message.partition(" (")[0]) == (
        400,
        "bad format for links: a:b:c",
    )


def test_a_container_of_the_hosts_network_joins_no_other(moored: HostedDaemon) -> None:
    moored.docker("network", "create", "apart")
    moored.sleeper("one", "--network", "host")
    failed = moored.cli.run("network", "connect", "apart", "one")
    assert "container sharing network namespace with another container or host" in failed.err


def test_config_only_networks(moored: HostedDaemon) -> None:
    moored.docker("network", "create", "--config-only", "--subnet", "10.97.0.0/24", "plan")
    moored.docker("network", "create", "--config-from", "plan", "real")
    moored.sleeper("one", "--network", "real")
    assert moored.address("one", "real").startswith("10.97.0.")
    failed = moored.cli.run("network", "rm", "plan")
    assert "in use" in failed.err
    assert moored.docker("network", "inspect", "--format", "{{.Driver}}", "plan") == "null"
    refused = moored.cli.run("run", "--rm", "--network", "plan", "busybox", "true")
    assert "cannot create endpoint on configuration-only network" in refused.err
    moored.docker("rm", "-f", "one")
    moored.docker("network", "rm", "real", "plan")


def test_networks_and_endpoints_survive_a_killed_daemon(moored: HostedDaemon) -> None:
    moored.docker("network", "create", "--ipv6", "kept")
    place = moored.sleeper("one", "--network", "kept")
    before = json.loads(moored.docker("network", "inspect", "kept"))
    moored.restart(kill=True)
    assert json.loads(moored.docker("network", "inspect", "kept")) == before
    moored.docker("network", "connect", "bridge", "one")
    assert place.resolve("one")[0] == "NOERROR"


def test_a_bridge_deleted_by_hand_comes_back_with_its_ports(moored: HostedDaemon) -> None:
    moored.docker("network", "create", "-o", "com.docker.network.bridge.name=br-hand", "hand")
    one = moored.sleeper("one", "--network", "hand", "-p", "18610:80")
    two = moored.sleeper("two", "--network", "hand")
    one.serve(80, "one")
    moored.host.run("ip", "link", "del", "br-hand")
    address = moored.address("one", "hand")
    wait_until(lambda: two.word(address, 80, timeout=0.3) == "one")
    assert moored.host.word("127.0.0.1", 18610) == "one"
    assert two.word(moored.host.address, 18610) == "one"
    moored.docker("rm", "-f", "one", "two")
    moored.docker("network", "rm", "hand")
    one.close()


def test_what_went_while_the_daemon_was_away_comes_back_with_it(moored: HostedDaemon) -> None:
    moored.docker("network", "create", "-o", "com.docker.network.bridge.name=br-away", "away")
    one = moored.sleeper("one", "--network", "away")
    two = moored.sleeper("two", "--network", "away")
    one.serve(80, "one")
    address = moored.address("one", "away")
    moored.stop()
    moored.host.run("ip", "link", "del", "br-away")
    two.inside(lambda: subprocess.run(["ip", "link", "del", "eth0"], check=True))
    moored.start()
    assert two.word(address, 80) == "one"
    one.close()


@pytest.mark.parametrize("point", ["connect.after_record", "disconnect.after_namespace"])
def test_a_killed_change_leaves_what_inspect_says(moored: HostedDaemon, point: str) -> None:
    moored.docker("network", "create", "net")
    place = moored.sleeper("one", "--network", "net")
    faults = moored.root / "faults"
    if "disconnect" in point:
        moored.docker("network", "connect", "bridge", "one")
    faults.write_text(f"networks.{point}=kill")
    moored.cli.run("network", point.partition(".")[0], "bridge", "one")
    faults.write_text("")
    assert moored.process is not None
    moored.process.wait(10)
    moored.restart(kill=True)
    shown = json.loads(moored.docker("inspect", "-f", "{{json .NetworkSettings.Networks}}", "one"))
    addresses = place.inside(lambda: subprocess.check_output(["ip", "-4", "addr"], text=True))
    assert len(shown) == 2
    assert all(f"inet {n['IPAddress']}/" in addresses for n in shown.values())
    moored.docker("network", "disconnect", "bridge", "one")
    addresses = place.inside(lambda: subprocess.check_output(["ip", "-4", "addr"], text=True))
    assert addresses.count("inet ") == 2  # lo, and the network that is left


def test_a_removed_network_can_be_made_again_at_once(moored: HostedDaemon) -> None:
    options = ("--subnet", "10.90.0.0/24", "-o", "com.docker.network.bridge.name=br-again")
    for _ in range(3):
        moored.docker("network", "create", *options, "again")
        place = moored.sleeper("one", "--network", "again", "--ip", "10.90.0.7")
        place.serve(80, "one")
        assert moored.host.word("10.90.0.7", 80) == "one"
        place.close()
        moored.docker("rm", "-f", "one")
        moored.docker("network", "rm", "again")


def links(host: Host) -> set[str]:
    """Return the names of a host's interfaces."""
    lines = host.run("ip", "-br", "link").splitlines()
    return {line.split()[0].partition("@")[0] for line in lines}


@pytest.mark.parametrize(
    "point",
    [
        "networks.join.after_record",
        "networks.join.after_namespace",
        "networks.join.after_rules",
        "networks.connect.after_record",
        "networks.connect.after_namespace",
        "networks.disconnect.after_namespace",
        "networks.disconnect.after_record",
        "networks.create.after_record",
        "networks.create.after_driver",
        "networks.remove.before_kernel",
        "networks.remove.after_kernel",
        "networks.remains.before_delete",
    ],
)
@pytest.mark.parametrize("action", ["error", "kill"])
def test_a_fault_between_two_steps_leaves_nothing(
    moored: HostedDaemon, point: str, action: str
) -> None:
    moored.docker("network", "create", "--subnet", "10.98.0.0/24", "gone")
    moored.docker("network", "create", "--subnet", "10.99.0.0/24", "net")
    moored.sleeper("one", "--network", "net")
    before = links(moored.host)
    bridge = f"br-{moored.docker('network', 'inspect', '-f', '{{.Id}}', 'gone')[:12]}"
    faults = moored.root / "faults"
    faults.write_text(f"{point}={action}")
    try:
        if "join" in point:
            moored.cli.run("run", "-d", "--name", "two", "-p", "18600:80", "--network", "net",
                           "busybox", "sleep", "99")  # fmt: skip
        elif "disconnect" in point:
            moored.docker("network", "connect", "bridge", "one")
            moored.cli.run("network", "disconnect", "bridge", "one")
        elif "connect" in point:
            moored.cli.run("network", "connect", "bridge", "one")
        elif "create" in point:
            moored.cli.run("network", "create", "new")
        else:
            moored.cli.run("network", "rm", "gone")
    finally:
        faults.write_text("")
    if action == "kill":
        assert moored.process is not None
        moored.process.wait(10)
    if action == "kill" or "remains" in point:
        moored.restart(kill=True)
    moored.cli.run("network", "rm", "gone", "new")
    moored.cli.run("rm", "-f", "two")
    if "connect" in point:
        moored.cli.run("network", "disconnect", "-f", "bridge", "one")
    wait_until(lambda: links(moored.host) <= before - {bridge})
    wait_until(lambda: len(list((moored.exec_root / "netns").iterdir())) == 1)
    free = moored.sleeper("three", "--network", "net", "-p", "18600:80", "--ip", "10.99.0.3")
    free.serve(80, "free")
    assert moored.host.word("127.0.0.1", 18600) == "free"
    listed = subprocess.run(["docker", "network", "ls", "-q"], env=moored.cli.environment,
                            capture_output=True, check=True)  # fmt: skip
    assert len(listed.stdout.split()) == 4
    free.close()
