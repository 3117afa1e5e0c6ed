"""Hosts in network namespaces of their own, on one wire: real traffic that disturbs nobody.

Each host has an interface ``eth0`` on the wire, with an IPv4 and an IPv6 address. A daemon runs on
a host as on a machine: its bridges, rules and ports are the namespace's alone.
"""

from __future__ import annotations

import os
import secrets
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from support.cli import Cli
from support.daemon import Daemon

WIRE4 = "10.77.0"
WIRE6 = "fd77::"


def ip(*arguments: str, netns: str | None = None) -> None:
    """Run ip(8), in the namespace *netns* if one is given."""
    where = ["-n", netns] if netns else []
    subprocess.run(["ip", *where, *arguments], check=True, capture_output=True, timeout=20)


@dataclass(slots=True)
class Host:
    """One host of a lab."""

    netns: str
    number: int

    @property
    def address(self) -> str:
        """Its IPv4 address on the wire."""
        return f"{WIRE4}.{self.number}"

    @property
    def address6(self) -> str:
        """Its IPv6 address on the wire."""
        return f"{WIRE6}{self.number}"

    def prefix(self) -> list[str]:
        """What to put before a command to run it here."""
        return ["nsenter", f"--net=/run/netns/{self.netns}"]

    def run(self, *arguments: str, timeout: float = 10) -> subprocess.CompletedProcess[str]:
        """Run a program here."""
        return subprocess.run(
            [*self.prefix(), *arguments],
            capture_output=True,
            text=True,
            timeout=timeout,
            check=False,
        )

    def start(self, *arguments: str) -> subprocess.Popen[bytes]:
        """Start a program here; the caller ends it."""
        return subprocess.Popen(
            [*self.prefix(), *arguments], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )

    def fetch(self, host: str, port: int, *, timeout: float = 2.0) -> str:
        """Return what is said on a TCP port; empty if nothing is.

        A greeting needs no request: the containers of these tests speak first.
        """
        program = (
            "import socket,sys\n"
            "try:\n"
            f"    s=socket.create_connection((sys.argv[1],{port}),{timeout})\n"
            "    print(s.recv(200).decode().strip())\n"
            "except OSError: pass\n"
        )
        return self.run("python3", "-ISc", program, host, timeout=timeout + 8).stdout.strip()

    def ask_udp(self, host: str, port: int, *, timeout: float = 2.0) -> str:
        """Return the answer to one datagram; empty if there is none."""
        program = (
            "import socket,sys\n"
            "f=socket.AF_INET6 if ':' in sys.argv[1] else socket.AF_INET\n"
            f"s=socket.socket(f,socket.SOCK_DGRAM); s.settimeout({timeout})\n"
            "try:\n"
            f"    s.connect((sys.argv[1],{port})); s.send(b'ping\\n')\n"
            "    print(s.recv(200).decode().strip())\n"
            "except OSError: pass\n"
        )
        return self.run("python3", "-ISc", program, host, timeout=timeout + 8).stdout.strip()


class HostedDaemon(Daemon):
    """A daemon that runs on a host of a lab."""

    def __init__(self, root: Path, host: Host, **options: object) -> None:
        super().__init__(root, **options)  # type: ignore[arg-type] # as Daemon's
        self.host = host

    @property
    def command(self) -> list[str]:
        """How it is started: in the host's network namespace."""
        return [*self.host.prefix(), *super().command]

    def cli(self, config: Path) -> Cli:
        """Return the official client for it."""
        return Cli("docker", self.socket, config)


class Lab:
    """A wire and the hosts on it."""

    def __init__(self) -> None:
        self._mark = f"ml{secrets.token_hex(2)}"
        self._wire = f"{self._mark}w"
        self.hosts: list[Host] = []
        ip("netns", "add", self._wire)
        ip("link", "add", "wire", "type", "bridge", netns=self._wire)
        ip("link", "set", "wire", "up", netns=self._wire)

    def add_host(self) -> Host:
        """Put one more host on the wire."""
        number = len(self.hosts) + 1
        host = Host(f"{self._mark}h{number}", number)
        ip("netns", "add", host.netns)
        self.hosts.append(host)
        end = f"p{number}"
        ip("link", "add", end, "type", "veth", "peer", "name", "eth0", "netns", host.netns,
           netns=self._wire)  # fmt: skip
        ip("link", "set", end, "master", "wire", "up", netns=self._wire)
        ip("link", "set", "lo", "up", netns=host.netns)
        ip("addr", "add", f"{host.address}/24", "dev", "eth0", netns=host.netns)
        ip("addr", "add", f"{host.address6}/64", "dev", "eth0", "nodad", netns=host.netns)
        ip("link", "set", "eth0", "up", netns=host.netns)
        ip("route", "add", "default", "via", f"{WIRE4}.254", netns=host.netns)
        return host

    def cut(self, host: Host) -> None:
        """Pull a host's cable."""
        ip("link", "set", f"p{host.number}", "down", netns=self._wire)

    def mend(self, host: Host) -> None:
        """Plug it in again."""
        ip("link", "set", f"p{host.number}", "up", netns=self._wire)

    def close(self) -> None:
        """Take everything away."""
        for name in (*(host.netns for host in self.hosts), self._wire):
            ip("netns", "del", name)


def greeter(port: int, word: str = "hello") -> Sequence[str]:
    """Return the command of a container that says *word* to whoever connects to *port*."""
    return ("sh", "-c", f"while :; do echo {word} | nc -l -p {port} -w 2 >/dev/null; done")


def udp_echo(port: int) -> Sequence[str]:
    """Return the command of a container that answers datagrams on *port*."""
    return ("sh", "-c", f"while :; do echo pong | timeout 5 nc -u -l -p {port} -w 1; done")


def is_quiet_kernel() -> bool:
    """Whether bridged packets stay out of the inet rules, as on most machines."""
    path = Path("/proc/sys/net/bridge/bridge-nf-call-ip6tables")
    return not path.exists() or path.read_text().strip() == "0" or os.environ.get("CI") is None
