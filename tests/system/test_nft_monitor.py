"""Our own changes to nftables are told from those of others."""

from __future__ import annotations

import uuid
from collections.abc import Iterator

import pytest

from moorage.netlink.nft import Nft
from moorage.netlink.nftmonitor import NftMonitor

pytestmark = pytest.mark.requires("root")


@pytest.fixture
def table() -> Iterator[str]:
    """A name for a table of the test's own; the table is gone afterwards."""
    name = f"moorage_{uuid.uuid4().hex[:8]}"
    yield name
    nft = Nft()
    nft.run(f"add table ip {name}\ndelete table ip {name}")
    nft.close()


def test_changes_are_our_own_after_a_rest_too(table: str) -> None:
    monitor = NftMonitor(table)
    ours = Nft(monitor.greeting)
    ours.run(f"add table ip {table}\nadd chain ip {table} one")
    assert not monitor.harmed()
    ours.rest()
    others = Nft()
    others.run("list tables")  # its socket may have the number that ours had
    ours.run(f"delete chain ip {table} one\nadd chain ip {table} two")
    assert not monitor.harmed()
    others.run(f"delete chain ip {table} two")
    assert monitor.harmed()
    assert table + "_self" not in others.run("list tables")
    for thing in (ours, others, monitor):
        thing.close()
