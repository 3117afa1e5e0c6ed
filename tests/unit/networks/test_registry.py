"""The networks and sandboxes in memory, as they are read from disk."""

from __future__ import annotations

from pathlib import Path

from moorage.networks.records import Endpoint, NetworkRecord, Records, SandboxRecord
from moorage.networks.registry import Registry
from moorage.networks.values import SandboxRequest
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
