"""The name server's side of what the daemon tells it, see ``protocol``."""

from __future__ import annotations

import json
import os
import select
import socket
from contextlib import suppress
from typing import Any, Final

from moorage.networks.nameserver.leases import Leases
from moorage.networks.nameserver.loop import Loop
from moorage.networks.nameserver.protocol import MAX_PACKET, VERSION
from moorage.networks.nameserver.server import Server
from moorage.networks.nameserver.zones import View, Zone

_FDS: Final = 3


class Control:
    """The listening side."""

    def __init__(self, loop: Loop, server: Server, listener: socket.socket) -> None:
        self._loop = loop
        self._server = server
        self._listener = listener
        self._zones: dict[str, Zone] | None = None  # between begin and commit
        self._leases = Leases()
        self.exit = False
        loop.watch(listener.fileno(), select.EPOLLIN, self._accept)

    def _accept(self, events: int) -> None:
        del events
        with suppress(OSError):
            accepted, _ = self._listener.accept()
            accepted.settimeout(0)
            self._leases.attend()
            self._zones = None  # an account that was never finished is void
            self._loop.watch(
                accepted.fileno(), select.EPOLLIN, lambda _: self._receive_all(accepted), first=True
            )

    def _receive_all(self, sock: socket.socket) -> None:
        """Take what has been said so far: who asks after a change is to be told of it."""
        while self._receive(sock):
            pass

    def _receive(self, sock: socket.socket) -> bool:
        """Take one packet; return whether there may be more."""
        try:
            packet, fds, _, _ = socket.recv_fds(sock, MAX_PACKET, _FDS)
        except BlockingIOError:
            return False
        except OSError:
            packet, fds = b"", []
        if not packet:
            self._leases.leave()
            self._loop.forget(sock.fileno())
            sock.close()
            return False
        try:
            self._obey(sock, json.loads(packet), fds)
        except (ValueError, KeyError, TypeError, OSError):
            for fd in fds:
                with suppress(OSError):
                    os.close(fd)
        return not self.exit

    def _obey(self, sock: socket.socket, said: dict[str, Any], fds: list[int]) -> None:
        server = self._server
        match said["op"]:
            case "hello":
                known = {"version": VERSION, "sandboxes": list(server.sandboxes)}
                sock.send(json.dumps(known).encode())
            case "begin":
                self._zones = {}
            case "commit" if self._zones is not None:
                server.take_account(self._zones)
                self._zones = None
            case "network" | "member" | "gone":
                self._name(server.zones if self._zones is None else self._zones, said)
            case "add":
                udp, tcp, namespace = fds
                server.add(
                    said["sandbox"], socket.socket(fileno=udp), socket.socket(fileno=tcp), namespace
                )
            case "view":
                self._view(said)
            case "remove":
                server.remove(said["sandbox"])
            case "leases":
                self._leases.set(said)
                return
            case "exit":
                self.exit = True
            case _:
                pass  # a newer daemon's word: it will ask for the version and replace us
        server.forget_answers()

    def _name(self, zones: dict[str, Zone], said: dict[str, Any]) -> None:
        zone = zones.get(said["network"])
        match said["op"]:
            case "network" if zone is None:
                zones[said["network"]] = Zone(said["name"])
            case "member" if zone is not None:
                zone.set(said["container"], said["names"], said["addresses"])
            case "gone" if "container" not in said:
                zones.pop(said["network"], None)
            case "gone" if zone is not None:
                zone.drop(said["container"])
            case _:
                pass

    def _view(self, said: dict[str, Any]) -> None:
        sandbox = self._server.sandboxes.get(said["sandbox"])
        if sandbox is not None:
            sandbox.view = View(said["networks"], said["links"], said["host"])
            sandbox.servers = said["servers"]
            sandbox.inside = said["inside"]
            sandbox.told = True
            if self._zones is None:
                self._server.open(sandbox)
