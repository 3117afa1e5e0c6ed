"""Hosts in network namespaces of their own, on one wire: real traffic that disturbs nobody.

Each host has an interface ``eth0`` on the wire, with an IPv4 and an IPv6 address. A daemon runs on
a host as on a machine: its bridges, rules and ports are the namespace's alone.
"""

from __future__ import annotations

import os
import secrets
import socket
import struct
import subprocess
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import TypeVar

import dnslib  # type: ignore[import-untyped]

from moorage.kernel import namespaces
from support import images
from support.cli import Cli
from support.daemon import Daemon

T = TypeVar("T")
Socket = socket.socket


def wait_until(condition: Callable[[], bool], timeout: float = 5.0) -> None:
    """Wait for *condition*, which may only come about a little later."""
    deadline = time.monotonic() + timeout
    while not condition():
        assert time.monotonic() < deadline, "it did not come about"
        time.sleep(0.02)


_LOOK_S = 0.1  # how often a server looks whether it is to end
WIRE4 = "10.77.0"
WIRE6 = "fd77::"


def ip(*arguments: str, netns: str | None = None) -> None:
    """Run ip(8), in the namespace *netns* if one is given."""
    # not ip -n: it makes a mount namespace, and waits for every mount that hangs
    where = ["nsenter", f"--net=/run/netns/{netns}"] if netns else []
    subprocess.run([*where, "ip", *arguments], check=True, capture_output=True, timeout=20)


class Place:
    """A network namespace to open sockets in, without a process there."""

    def __init__(self, path: str | Path) -> None:
        self.path = str(path)
        self._serving: list[tuple[Socket, threading.Thread]] = []
        self._closing = threading.Event()

    def inside(self, work: Callable[[], T]) -> T:
        """Run *work* in a thread that has moved here."""
        box: list[T] = []
        failure: list[BaseException] = []

        def body() -> None:
            fd = os.open(self.path, os.O_RDONLY | os.O_CLOEXEC)
            try:
                namespaces.setns(fd, namespaces.CLONE_NEWNET)
                box.append(work())
            except BaseException as error:  # noqa: BLE001 - raised again by the caller
                failure.append(error)
            finally:
                os.close(fd)

        thread = threading.Thread(target=body)
        thread.start()
        thread.join()
        if failure:
            raise failure[0]
        return box[0]

    def socket(self, address: str, kind: socket.SocketKind, timeout: float = 2.0) -> socket.socket:
        """Return a socket of *address*'s family that lives here."""
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        made = self.inside(lambda: socket.socket(family, kind))
        made.settimeout(timeout)
        return made

    def fetch(self, host: str, port: int, *, timeout: float = 2.0) -> str:
        """Return the greeting of a TCP port: ``word peer``; empty if there is none."""
        with self.socket(host, socket.SOCK_STREAM, timeout) as sock:
            try:
                sock.connect((host, port))
                return sock.recv(200).decode()
            except OSError:
                return ""

    def word(self, host: str, port: int, *, timeout: float = 2.0) -> str:
        """Return the greeting's first word."""
        return self.fetch(host, port, timeout=timeout).partition(" ")[0]

    def ask_udp(self, host: str, port: int, *, timeout: float = 2.0) -> str:
        """Return the answer to one datagram; empty if there is none."""
        with self.socket(host, socket.SOCK_DGRAM, timeout) as sock:
            try:
                sock.connect((host, port))
                sock.send(b"ping")
                return sock.recv(200).decode()
            except OSError:
                return ""

    def serve(self, port: int, word: str = "hello", *, address: str = "::") -> None:
        """Greet whoever connects to a TCP port here, until the place is closed."""
        sock = self.socket(address, socket.SOCK_STREAM, _LOOK_S)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.bind((address, port))
        sock.listen(64)

        def greet() -> None:
            client, peer = sock.accept()
            with client:
                client.sendall(f"{word} {peer[0].removeprefix('::ffff:')}".encode())

        self._keep_serving(sock, greet)

    def serve_udp(self, port: int, word: str = "hello", *, address: str = "::") -> None:
        """Answer datagrams here, until the place is closed."""
        sock = self.socket(address, socket.SOCK_DGRAM, _LOOK_S)
        sock.bind((address, port))

        def answer() -> None:
            _, peer = sock.recvfrom(2000)
            sock.sendto(f"{word} {peer[0].removeprefix('::ffff:')}".encode(), peer)

        self._keep_serving(sock, answer)

    def _keep_serving(self, sock: Socket, serve_one: Callable[[], None]) -> None:
        closing = self._closing

        def loop() -> None:
            while not closing.is_set():
                with suppress(OSError):  # nobody came
                    serve_one()

        thread = threading.Thread(target=loop, daemon=True)
        self._serving.append((sock, thread))
        thread.start()

    def resolve(
        self,
        name: str,
        kind: str = "A",
        *,
        tcp: bool = False,
        edns: bool = False,
        timeout: float = 8.0,
    ) -> tuple[str, list[str]]:
        """Ask 127.0.0.11; return the code and the answers as text."""
        question = dnslib.DNSRecord.question(name, kind)
        if edns:
            question.add_ar(dnslib.EDNS0(udp_len=1232))
        data = question.pack()
        sock = self.socket("127.0.0.11", socket.SOCK_STREAM if tcp else socket.SOCK_DGRAM, timeout)
        with sock:
            sock.connect(("127.0.0.11", 53))
            if tcp:
                sock.sendall(struct.pack("!H", len(data)) + data)
                received = sock.recv(65535)
                while len(received) < 2 or len(received) < 2 + int.from_bytes(received[:2], "big"):
                    received += sock.recv(65535)
                received = received[2:]
            else:
                sock.send(data)
                received = sock.recv(65535)
        answer = dnslib.DNSRecord.parse(received)
        assert answer.header.id == question.header.id
        return dnslib.RCODE[answer.header.rcode], [str(r.rdata) for r in answer.rr]

    def close(self) -> None:
        """Close what listens here.

        A thread that waits on a descriptor keeps what is behind it alive, and the number may be
        another file's when it looks again: so first the threads end, then the sockets.
        """
        self._closing.set()
        for sock, thread in self._serving:
            thread.join()
            sock.close()
        self._serving.clear()
        self._closing = threading.Event()


class Host(Place):
    """One host of a lab."""

    def __init__(self, netns: str, number: int) -> None:
        super().__init__(f"/run/netns/{netns}")
        self.netns = netns
        self.number = number

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
        return ["nsenter", f"--net={self.path}"]

    def run(self, *arguments: str, stdin: str = "") -> str:
        """Run a program here; return what it says."""
        done = subprocess.run(
            [*self.prefix(), *arguments],
            capture_output=True,
            text=True,
            timeout=20,
            check=False,
            input=stdin,
        )
        assert done.returncode == 0, f"{arguments}: {done.stderr}"
        return done.stdout


class HostedDaemon(Daemon):
    """A daemon that runs on a host of a lab."""

    def __init__(self, root: Path, host: Host, **options: object) -> None:
        super().__init__(root, **options)  # type: ignore[arg-type] # as Daemon's
        self.host = host

    @property
    def command(self) -> list[str]:
        """How it is started: in the host's network namespace."""
        return [*self.host.prefix(), *super().command]

    def docker(self, *arguments: str) -> str:
        """Run the official client against it."""
        return self.cli(*arguments)

    @property
    def cli(self) -> Cli:
        """The official client for it."""
        return Cli("docker", self.socket, self.root)

    def place(self, container: str) -> Place:
        """Return the network namespace of a container."""
        key = self.docker("inspect", "-f", "{{.NetworkSettings.SandboxKey}}", container)
        return Place(key)

    def address(self, container: str, network: str = "bridge") -> str:
        """Return a container's IPv4 address on a network."""
        path = f"{{{{(index .NetworkSettings.Networks {network!r}).IPAddress}}}}".replace("'", '"')
        return self.docker("inspect", "-f", path, container)

    def address6(self, container: str, network: str = "bridge") -> str:
        """Return a container's IPv6 address on a network."""
        path = f"{{{{(index .NetworkSettings.Networks {network!r}).GlobalIPv6Address}}}}"
        return self.docker("inspect", "-f", path.replace("'", '"'), container)

    def sleeper(self, name: str, *options: str) -> Place:
        """Start a container that does nothing; return its place."""
        self.docker("run", "-d", "--init", "--name", name, *options, "busybox", "sleep", "3600")
        return self.place(name)


class Lab:
    """A wire and the hosts on it."""

    def __init__(self) -> None:
        self._mark = f"ml{secrets.token_hex(2)}"
        self._wire = f"{self._mark}w"
        self.hosts: list[Host] = []
        self.daemons: list[HostedDaemon] = []
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

    def daemon(
        self,
        root: Path,
        host: Host,
        config: Mapping[str, object] | None = None,
        env: Mapping[str, str] | None = None,
    ) -> HostedDaemon:
        """Start a daemon with a busybox image on a host."""
        made = HostedDaemon(root, host, config=config, env=env)
        self.daemons.append(made)
        made.start()
        made.load(images.busybox())
        return made

    def close(self) -> None:
        """Take everything away."""
        for daemon in self.daemons:
            with suppress(OSError, AssertionError):  # it may be dead; the rest must go all the same
                daemon.clean()
            daemon.destroy()
        for name in (*(host.netns for host in self.hosts), self._wire):
            ip("netns", "del", name)
