"""The networks and sandboxes in memory, as they are read from disk."""

from __future__ import annotations

from pathlib import Path

import pytest

from moorage.lib.errors import InvalidParameter
from moorage.networks import endpoints
from moorage.networks.drivers import options
from moorage.networks.ipam import Subnet
from moorage.networks.records import Endpoint, NetworkRecord, Records, SandboxRecord
from moorage.networks.registry import Registry
from moorage.networks.values import SandboxRequest
from moorage.spec.engine.network import EndpointSettings
from moorage.storage.metadata import Database


def test_an_endpoint_of_a_network_that_is_gone_does_not_keep_the_daemon_from_starting(
    tmp_path: Path,
) -> None:
    """What a kill -9 leaves when a network was removed while a container left it."""
    records = Records(Database(tmp_path / "db"))
    records.save_network(NetworkRecord(id="n1", name="stays", driver="bridge", created_ns=1))
    endpoints = [
        Endpoint(id="e1", network_id="n1", interface="eth0"),
        Endpoint(id="e2", network_id="n2", interface="eth1", ipv4="10.9.0.2/24"),
    ]
    request = SandboxRequest(container_id="c", name="web", hostname="web")
    records.save_sandbox(SandboxRecord(id="s", request=request, endpoints=endpoints))
    registry = Registry(records)
    registry.load()
    assert [e.id for e in registry.sandboxes["c"].endpoints] == ["e1"]
    assert set(registry.members) == {"n1"}


def test_an_endpoint_that_is_refused_holds_no_address(tmp_path: Path) -> None:
    registry = Registry(Records(Database(tmp_path / "db")))
    network = NetworkRecord(
        id="n1",
        name="net",
        driver="bridge",
        created_ns=1,
        subnets=[Subnet(cidr="10.9.0.0/29", gateway="10.9.0.1")],
    )
    registry.enter(network)
    request = SandboxRequest(container_id="c", name="web", hostname="web")
    taken = EndpointSettings(driver_opts={options.IFNAME: "eth0"})
    for _ in range(8):  # more than the subnet has addresses
        with pytest.raises(InvalidParameter, match="interface name eth0 is taken"):
            endpoints.make(registry, network, taken, request, ["eth0"])
    assert endpoints.make(registry, network, EndpointSettings(), request, ["eth0"]).ipv4
