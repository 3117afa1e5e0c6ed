"""Containers beside a firewall of the host: what ufw, firewalld and plain nftables users see."""

import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from support.netlab import Host, HostedDaemon, Lab, wait_until

pytestmark = pytest.mark.requires("root", "overlayfs", "docker")

# the shape of all of them: forwarded packets are dropped unless a rule of the user's says otherwise
DROPPING = """
table ip filter {
  chain FORWARD {
    type filter hook forward priority 0; policy drop;
  }
}
table inet firewalld {
  chain filter_FORWARD {
    type filter hook forward priority 10; policy accept;
    ct state established,related accept
    ip daddr != 192.0.2.1 reject
  }
}
"""


@pytest.fixture
def lab(kit_root: Path) -> Iterator[Lab]:
    del kit_root
    lab = Lab()
    yield lab
    lab.close()


def start(lab: Lab, kit_root: Path, policy: str) -> tuple[HostedDaemon, Host]:
    host, neighbour = lab.add_host(), lab.add_host()
    host.run("nft", "-f", "-", stdin=DROPPING)
    root = Path(tempfile.mkdtemp(prefix="w", dir=kit_root))
    return lab.daemon(root, host, {"host-firewall": policy}), neighbour


def test_a_firewall_that_drops_what_is_forwarded_is_respected(lab: Lab, kit_root: Path) -> None:
    """moby#22054: published ports do not by-pass it, until its owner opens them."""
    daemon, neighbour = start(lab, kit_root, "respect")
    web = daemon.sleeper("web", "-p", "18400:80")
    web.serve(80, "web")
    neighbour.serve(8100, "outside")
    assert neighbour.word(daemon.host.address, 18400, timeout=0.7) == ""
    assert web.word(neighbour.address, 8100, timeout=0.7) == ""
    assert daemon.host.word("127.0.0.1", 18400) == "web"  # nothing is forwarded from the host
    # what `ufw route allow` and a firewalld policy come down to
    address = daemon.address("web")
    daemon.host.run("nft", "insert rule ip filter FORWARD ct state established accept")
    daemon.host.run("nft", f"insert rule ip filter FORWARD ip daddr {address} accept")
    daemon.host.run("nft", f"insert rule inet firewalld filter_FORWARD ip daddr {address} accept")
    assert neighbour.word(daemon.host.address, 18400) == "web"
    web.close()
    neighbour.close()


def test_accept_lets_containers_pass_and_survives_a_reload(lab: Lab, kit_root: Path) -> None:
    daemon, neighbour = start(lab, kit_root, "accept")
    daemon.docker("network", "create", "red")
    web = daemon.sleeper("web", "-p", "18410:80")
    red = daemon.sleeper("red1", "--network", "red")
    web.serve(80, "web")
    neighbour.serve(8100, "outside")
    assert neighbour.word(daemon.host.address, 18410) == "web"
    assert web.word(neighbour.address, 8100) == "outside"
    assert red.word(daemon.address("web"), 80, timeout=0.7) == ""  # isolation is ours and stays
    # a reload: all of the user's rules go and come again
    daemon.host.run("nft", "-f", "-", stdin="flush ruleset\n" + DROPPING)
    wait_until(lambda: neighbour.word(daemon.host.address, 18410, timeout=0.5) == "web")
    # and a reload that leaves our tables alone
    script = "flush chain ip filter FORWARD\nflush chain inet firewalld filter_FORWARD\n"
    daemon.host.run("nft", "-f", "-", stdin=script + DROPPING)
    wait_until(lambda: neighbour.word(daemon.host.address, 18410, timeout=0.5) == "web")
    web.close()
    neighbour.close()
    daemon.docker("rm", "-f", "web", "red1")
    daemon.stop()
    assert "moorage" not in daemon.host.run("nft", "list", "table", "ip", "filter")
    daemon.start()


@pytest.mark.requires("ufw", "iptables")
def test_with_ufw_itself(lab: Lab, kit_root: Path, tmp_path: Path) -> None:
    """Port closed until ``ufw route allow``; ufw's own files are a copy in a private mount."""
    host, neighbour = lab.add_host(), lab.add_host()
    copy = tmp_path / "ufw"
    subprocess.run(["cp", "-a", "/etc/ufw", str(copy)], check=True)

    def ufw(*arguments: str) -> None:
        script = f"mount --bind {copy} /etc/ufw && exec ufw {' '.join(arguments)}"
        host.run("unshare", "-m", "sh", "-c", script)

    try:
        ufw("--force", "enable")
    except AssertionError as error:
        pytest.skip(f"ufw does not run on this kernel: {error}")
    root = Path(tempfile.mkdtemp(prefix="u", dir=kit_root))
    daemon = lab.daemon(root, host)
    web = daemon.sleeper("web", "-p", "18420:80")
    web.serve(80, "web")
    assert neighbour.word(host.address, 18420, timeout=0.7) == ""
    ufw("route", "allow", "proto", "tcp", "to", daemon.address("web"), "port", "80")
    assert neighbour.word(host.address, 18420) == "web"
    web.close()
