"""A lab for the tests of networks: a daemon on a host, and a neighbour on the same wire."""

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from support import needs
from support.netlab import Host, HostedDaemon, Lab

collect_ignore = needs.unless_installed("h2", "test_buildkit.py")


@pytest.fixture(scope="session")
def net_lab(kit_root: Path) -> Iterator[tuple[HostedDaemon, Host]]:
    """The daemon and the neighbour, shared by the tests of networks."""
    lab = Lab()
    try:
        root = Path(tempfile.mkdtemp(prefix="n", dir=kit_root))
        host, neighbour = lab.add_host(), lab.add_host()
        # names outside are refused at once, rather than asked of a resolver that is not there
        config = {"ipv6": True, "dns": [neighbour.address]}
        faults = root / "faults"  # what a test writes there is injected (lib/failpoint)
        faults.touch()
        yield lab.daemon(root, host, config, {"MOORAGE_FAILPOINTS": f"@{faults}"}), neighbour
    finally:
        lab.close()


@pytest.fixture
def moored(net_lab: tuple[HostedDaemon, Host]) -> Iterator[HostedDaemon]:
    """The shared daemon of the lab; afterwards its containers and networks are gone."""
    daemon, _ = net_lab
    yield daemon
    if daemon.process is None or daemon.process.poll() is not None:
        daemon.start()
    daemon.clean()


@pytest.fixture
def neighbour(net_lab: tuple[HostedDaemon, Host]) -> Host:
    """Another host on the wire."""
    return net_lab[1]
