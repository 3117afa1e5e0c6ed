"""Network and IPAM plugins of Docker's remote driver protocol, against a real small plugin."""

import secrets
import subprocess
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from support.netlab import HostedDaemon, ip
from support.plugin import Plugin

pytestmark = pytest.mark.requires("root", "overlayfs", "docker")


class Fabric:
    """A plugin whose networks are bridges, and whose addresses come from 10.66.0.0/24."""

    def __init__(self, daemon: HostedDaemon) -> None:
        self.netns = daemon.host.netns
        self.name = f"fabric{secrets.token_hex(3)}"
        self.next = 9
        self.held: set[str] = set()
        self.failing = ""
        self.holding = ""  # a method that is answered only once it is ``released``
        self.asked = threading.Event()
        self.released = threading.Event()

    def __call__(self, method: str, request: dict[str, Any]) -> dict[str, Any]:
        if method == self.failing:
            return {"Err": "the fabric is torn"}
        if method == self.holding:
            self.asked.set()
            self.released.wait()
        handler = getattr(self, method.rpartition(".")[2].lower(), None)
        return handler(request) if handler else {}

    def getcapabilities(self, _: dict[str, Any]) -> dict[str, Any]:
        return {"Scope": "local"}

    def createnetwork(self, request: dict[str, Any]) -> dict[str, Any]:
        bridge = f"fb{request['NetworkID'][:8]}"
        ip("link", "add", bridge, "type", "bridge", netns=self.netns)
        ip("addr", "add", request["IPv4Data"][0]["Gateway"], "dev", bridge, netns=self.netns)
        ip("link", "set", bridge, "up", netns=self.netns)
        return {}

    def deletenetwork(self, request: dict[str, Any]) -> dict[str, Any]:
        ip("link", "del", f"fb{request['NetworkID'][:8]}", netns=self.netns)
        return {}

    def createendpoint(self, request: dict[str, Any]) -> dict[str, Any]:
        if request["Interface"]["Address"]:
            return {"Interface": {}}
        return {"Interface": {"MacAddress": "02:66:00:00:00:01"}}

    def join(self, request: dict[str, Any]) -> dict[str, Any]:
        short = request["EndpointID"][:8]
        ip("link", "add", f"fo{short}", "type", "veth", "peer", "name", f"fi{short}",
           netns=self.netns)  # fmt: skip
        bridge = f"fb{request['NetworkID'][:8]}"
        ip("link", "set", f"fo{short}", "master", bridge, "up", netns=self.netns)
        return {
            "InterfaceName": {"SrcName": f"fi{short}", "DstPrefix": "fab"},
            "Gateway": "10.66.0.1",
            "StaticRoutes": [{"Destination": "10.67.0.0/16", "RouteType": 1}],
        }

    def leave(self, request: dict[str, Any]) -> dict[str, Any]:
        subprocess.run(
            ["ip", "-n", self.netns, "link", "del", f"fo{request['EndpointID'][:8]}"],
            capture_output=True,
            check=False,
        )
        return {}

    def getdefaultaddressspaces(self, _: dict[str, Any]) -> dict[str, Any]:
        return {"LocalDefaultAddressSpace": "here", "GlobalDefaultAddressSpace": "there"}

    def requestpool(self, _: dict[str, Any]) -> dict[str, Any]:
        return {"PoolID": "pool1", "Pool": "10.66.0.0/24"}

    def requestaddress(self, request: dict[str, Any]) -> dict[str, Any]:
        if "RequestAddressType" in request["Options"]:
            address = "10.66.0.1"
        else:
            self.next += 1
            address = request["Address"] or f"10.66.0.{self.next}"
        self.held.add(address)
        return {"Address": f"{address}/24"}

    def releaseaddress(self, request: dict[str, Any]) -> dict[str, Any]:
        self.held.discard(request["Address"])
        return {}


@pytest.fixture
def fabric(moored: HostedDaemon) -> Iterator[Fabric]:
    fabric = Fabric(moored)
    with Plugin(fabric.name, ["NetworkDriver", "IpamDriver"], fabric) as plugin:
        fabric.calls = plugin.calls  # type: ignore[attr-defined]
        yield fabric
        fabric.failing = fabric.holding = ""
        fabric.released.set()
        moored.clean()


def make(moored: HostedDaemon, fabric: Fabric) -> None:
    options = ("-d", fabric.name, "--ipam-driver", fabric.name, "-o", "colour=green")
    moored.docker("network", "create", *options, "cloth")


def take_away(moored: HostedDaemon) -> None:
    moored.docker("network", "rm", "cloth")


def test_containers_on_a_plugins_network_talk(moored: HostedDaemon, fabric: Fabric) -> None:
    make(moored, fabric)
    one = moored.sleeper("one", "--network", "cloth")
    two = moored.sleeper("two", "--network", "cloth")
    one.serve(80, "one")
    address = moored.address("one", "cloth")
    assert address == "10.66.0.10"
    assert two.word(address, 80) == "one"
    assert two.resolve("one") == ("NOERROR", [address])
    routes = moored.docker("exec", "two", "ip", "route")
    assert "default via 10.66.0.1 dev fab0" in routes
    assert "10.67.0.0/16 dev fab0" in routes
    one.close()
    moored.docker("rm", "-f", "one", "two")
    moored.docker("network", "rm", "cloth")
    assert fabric.held == set()
    methods = [method for method, _ in fabric.calls]  # type: ignore[attr-defined]
    for method in ("CreateNetwork", "CreateEndpoint", "Join", "Leave", "DeleteEndpoint"):
        assert f"NetworkDriver.{method}" in methods
    assert methods[-1] == "IpamDriver.ReleasePool"


def test_connect_and_disconnect_while_it_runs(moored: HostedDaemon, fabric: Fabric) -> None:
    make(moored, fabric)
    moored.sleeper("one")
    moored.docker("network", "connect", "cloth", "one")
    assert "fab1" in moored.docker("exec", "one", "ip", "-o", "link")
    moored.docker("network", "disconnect", "cloth", "one")
    assert "fab1" not in moored.docker("exec", "one", "ip", "-o", "link")


@pytest.mark.parametrize("method", ["CreateEndpoint", "Join"])
def test_a_plugin_that_fails_leaves_nothing(
    moored: HostedDaemon, fabric: Fabric, method: str
) -> None:
    make(moored, fabric)
    fabric.failing = f"NetworkDriver.{method}"
    failed = moored.cli.run("run", "-d", "--network", "cloth", "busybox", "sleep", "9")
    assert failed.code == 125
    assert "the fabric is torn" in failed.err
    assert fabric.held == {"10.66.0.1"}
    inspected = moored.docker("network", "inspect", "-f", "{{len .Containers}}", "cloth")
    assert inspected == "0"


def test_a_plugin_that_refuses_a_network_leaves_none(moored: HostedDaemon, fabric: Fabric) -> None:
    fabric.failing = "NetworkDriver.CreateNetwork"
    options = ("-d", fabric.name, "--ipam-driver", fabric.name)
    failed = moored.cli.run("network", "create", *options, "cloth")
    assert "the fabric is torn" in failed.err
    assert "cloth" not in moored.docker("network", "ls")
    assert fabric.held == set()


@pytest.mark.parametrize(
    "method",
    ["IpamDriver.RequestPool", "NetworkDriver.CreateNetwork", "NetworkDriver.DeleteNetwork"],
)
def test_a_plugin_that_hangs_holds_up_no_other_network(
    moored: HostedDaemon, fabric: Fabric, method: str
) -> None:
    """Its own name stays taken meanwhile; and what it hung at goes on when it answers."""
    fabric.holding = method
    with ThreadPoolExecutor(1) as aside:
        made = aside.submit(make, moored, fabric)
        if method == "NetworkDriver.DeleteNetwork":
            made.result()
            made = aside.submit(take_away, moored)
        assert fabric.asked.wait(20)
        moored.docker("network", "create", "free")
        moored.docker("network", "rm", "free")
        again = moored.cli.run("network", "create", "cloth")
        assert "network with name cloth already exists" in again.err
        fabric.released.set()
        made.result()
    listed = moored.docker("network", "ls", "--format", "{{.Name}}").split()
    assert ("cloth" in listed) is (method != "NetworkDriver.DeleteNetwork")


def test_the_subnet_of_a_plugin_that_hangs_is_taken(moored: HostedDaemon, fabric: Fabric) -> None:
    fabric.holding = "NetworkDriver.CreateNetwork"
    subnet = ("--subnet", "10.66.0.0/24")
    with ThreadPoolExecutor(1) as aside:
        made = aside.submit(moored.docker, "network", "create", "-d", fabric.name, *subnet, "cloth")
        assert fabric.asked.wait(20)
        other = moored.cli.run("network", "create", "--subnet", "10.66.0.128/25", "patch")
        assert "overlap" in other.err
        fabric.released.set()
        made.result()


@pytest.mark.parametrize(
    "answer",
    [
        {"InterfaceName": {"SrcName": "../../etc", "DstPrefix": "eth"}},
        {"InterfaceName": {"SrcName": "x"}, "Gateway": "not an address"},
        {"InterfaceName": {"SrcName": "nosuch", "DstPrefix": "eth"}},
        {"StaticRoutes": [{"Destination": "everywhere", "RouteType": 1}]},
    ],
)
def test_a_plugin_that_lies_is_found_out(
    moored: HostedDaemon, fabric: Fabric, answer: dict[str, Any]
) -> None:
    make(moored, fabric)
    fabric.join = lambda _: answer  # type: ignore[method-assign, assignment]
    failed = moored.cli.run("run", "-d", "--network", "cloth", "busybox", "sleep", "9")
    assert failed.code == 125
    assert fabric.held == {"10.66.0.1"}


def test_a_plugin_that_is_not_there(moored: HostedDaemon) -> None:
    failed = moored.cli.run("network", "create", "-d", "nosuchplugin", "cloth")
    assert failed.code == 1
    assert "not found" in failed.err
    assert not Path("/run/docker/plugins/nosuchplugin.sock").exists()
