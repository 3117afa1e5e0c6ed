"""Encryption between hosts: one WireGuard interface for all encrypted overlay networks.

Their VXLAN packets go between addresses that exist inside the tunnel only, on a UDP port of their
own that the firewall shuts on every other interface, both ways: clear packets are neither sent nor
taken (CVE-2023-28840 and its kin). A host without WireGuard refuses such networks; it never falls
back to clear text.
"""

from __future__ import annotations

import asyncio
import base64
import errno
import hashlib
import ipaddress
import secrets
from collections.abc import Iterable
from typing import Final

from moorage.kernel import spawn
from moorage.lib import offload
from moorage.lib.errors import System
from moorage.lib.tasks import Supervisor
from moorage.netlink import address, link
from moorage.netlink.nlsocket import NetlinkError, NetlinkSocket
from moorage.networks import sandbox
from moorage.networks.drivers.overlay import x25519
from moorage.networks.drivers.overlay.records import Node
from moorage.networks.records import Records

_KEY_FACT: Final = "wireguard_key"
_PREFIX: Final = ipaddress.ip_network("fd6d:6f6f:7261:6765::/64")
_OVERHEAD: Final = 80  # outer IPv6, UDP, WireGuard
_TOOL: Final = "wg"
_USERSPACE: Final = "wireguard-go"
_USERSPACE_STEP_S: Final = 0.05
_USERSPACE_STEPS: Final = 100


class Wireguard:
    """This host's end of the tunnels."""

    def __init__(
        self, instance: str, records: Records, supervisor: Supervisor, *, port: int
    ) -> None:
        self._supervisor = supervisor
        self._ending: asyncio.Task[int] | None = None  # of the process, if there is one
        self.device = f"mw{instance[:8]}"
        self.port = port
        self._private = self._load(records)
        self.public_key = base64.b64encode(x25519.public(self._private)).decode()
        self._lock = asyncio.Lock()
        self.is_open = False

    @staticmethod
    def _load(records: Records) -> bytes:
        known = records.fact(_KEY_FACT)
        if not known:
            known = base64.b64encode(x25519.clamp(secrets.token_bytes(32))).decode()
            records.remember(_KEY_FACT, known)
        return base64.b64decode(known)

    def require(self) -> None:
        """Refuse what this host cannot do.

        Raises: System.
        """
        if spawn.find(_TOOL) is None:
            raise System(
                "encrypted overlay networks need wg", hint="apt-get install wireguard-tools"
            )

    @staticmethod
    def address_of(node_id: str) -> str:
        """Return a host's address inside the tunnel."""
        digest = hashlib.sha256(node_id.encode()).digest()
        return str(_PREFIX.network_address + int.from_bytes(digest[:8], "big"))

    @staticmethod
    def mtu(underlay: int) -> int:
        """Return the MTU of the tunnel over an underlay of this MTU."""
        return underlay - _OVERHEAD

    async def open(self, own: Node, nodes: Iterable[Node]) -> None:
        """Make the interface and let all hosts in. Idempotent.

        Raises: System.
        """
        if not await offload.run("net", self._make, own):
            await self._start_userspace()
            await offload.run("net", self._dress, own)
        self.is_open = True
        await self.set_peers(own, nodes)

    async def close(self) -> None:
        """Take the interface away; with it a program that made it ends."""
        self.is_open = False
        await offload.run("net", sandbox.delete_link, self.device)

    async def set_peers(self, own: Node, nodes: Iterable[Node]) -> None:
        """Let exactly the other hosts of *nodes* in.

        Raises: System.
        """
        lines = [
            "[Interface]",
            f"PrivateKey = {base64.b64encode(self._private).decode()}",
            f"ListenPort = {self.port}",
        ]
        for node in nodes:
            if node.id == own.id or not node.wireguard_key:
                continue
            host = f"[{node.address}]" if ":" in node.address else node.address
            lines += [
                "[Peer]",
                f"PublicKey = {node.wireguard_key}",
                f"Endpoint = {host}:{node.wireguard_port}",
                f"AllowedIPs = {self.address_of(node.id)}/128",
            ]
        async with self._lock:
            await self._configure("\n".join(lines) + "\n")

    async def _configure(self, text: str) -> None:
        done = await spawn.run(
            [_TOOL, "syncconf", self.device, "/dev/stdin"], stdin=text.encode(), timeout_s=10
        )
        if done.code:
            said = done.stderr.decode(errors="replace").strip()
            raise System(f"cannot set up {self.device}: {said}")

    def _make(self, own: Node) -> bool:
        """Make the kernel's interface; False if this kernel has none of the kind. Blocking."""
        with NetlinkSocket() as host:
            try:
                host.run(link.wireguard(self.device))
            except NetlinkError as error:
                if error.errno == errno.EOPNOTSUPP:
                    return self._exists(host) and self._dress(own)
                if error.errno != errno.EEXIST:
                    raise System(f"cannot make {self.device}: {error}") from error
        return self._dress(own)

    def _exists(self, host: NetlinkSocket) -> bool:
        try:
            link.read(host, self.device)
        except NetlinkError:
            return False
        return True

    def _dress(self, own: Node) -> bool:
        with NetlinkSocket() as host:
            index = link.read(host, self.device).index
            inside = ipaddress.ip_interface(f"{self.address_of(own.id)}/{_PREFIX.prefixlen}")
            host.run(link.set_up(self.device), address.add(index, inside))
        return True

    async def _start_userspace(self) -> None:
        """Let wireguard-go make the interface; it goes on by itself."""
        if spawn.find(_USERSPACE) is None:
            raise System(
                "this kernel has no WireGuard, so there is no encrypted overlay network",
                hint="modprobe wireguard, or apt-get install wireguard-go",
            )
        environment = {"PATH": spawn.PATH, "LOG_LEVEL": "silent", "WG_PROCESS_FOREGROUND": "1"}
        process = spawn.start([_USERSPACE, self.device], env=environment, new_session=True)
        self._ending = self._supervisor.start(process.wait(), _USERSPACE)
        for _ in range(_USERSPACE_STEPS):
            if await offload.run("net", self._is_there):
                return
            if self._ending.done():
                break
            await asyncio.sleep(_USERSPACE_STEP_S)
        raise System(f"{_USERSPACE} made no interface", hint="is /dev/net/tun there?")

    def _is_there(self) -> bool:
        with NetlinkSocket() as host:
            return self._exists(host)
