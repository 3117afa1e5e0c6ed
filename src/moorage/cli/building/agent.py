"""This machine's SSH agent for commands of a build (``--ssh``); the frames are the daemon's."""

from __future__ import annotations

import os
import socket
import struct
import threading

from moorage.cli.failure import CommandError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from moorage.cli.session import Session
    from moorage.client.http import Wire

_HEAD = struct.Struct(">II")
_CHUNK = 16 << 10


def start(session: Session, build: str, text: str) -> Agent:
    """Offer an agent: ``default``, ``id`` or ``id=socket``.

    Raises: CommandError (no agent there).
    """
    name, _, path = text.partition("=")
    path = path or session.environ.get("SSH_AUTH_SOCK", "")
    if not path:
        raise CommandError(f"no SSH agent for --ssh {text}: SSH_AUTH_SOCK is not set")
    if os.path.isfile(path):
        raise CommandError(
            f"--ssh {text}: a key file cannot be given itself; add it to an agent with ssh-add"
        )
    if not os.path.exists(path):
        raise CommandError(f"--ssh {text}: {path} does not exist")
    wire = session.another_api().hijack(f"/build/session/{build}/agent", {"id": name})
    return Agent(wire, path)


class Agent:
    """Carries connections of the build to an agent's socket, in threads of its own."""

    def __init__(self, wire: Wire, path: str) -> None:
        self._wire = wire
        self._path = path
        self._open: dict[int, socket.socket] = {}
        self._sending = threading.Lock()
        threading.Thread(target=self._receive, daemon=True).start()

    def close(self) -> None:
        """End all connections."""
        self._wire.connection.close()

    def _exactly(self, size: int) -> bytes:
        parts = b""
        while len(parts) < size:
            chunk = self._wire.some(size - len(parts))
            if not chunk:
                raise EOFError
            parts += chunk
        return parts

    def _receive(self) -> None:
        try:
            while True:
                number, length = _HEAD.unpack(self._exactly(_HEAD.size))
                payload = self._exactly(length) if length else b""
                self._deliver(number, payload)
        except (EOFError, OSError):
            for connection in self._open.values():
                connection.close()

    def _deliver(self, number: int, payload: bytes) -> None:
        connection = self._open.get(number)
        if not payload:
            if connection is not None:
                connection.shutdown(socket.SHUT_WR)
            return
        if connection is None:
            connection = socket.socket(socket.AF_UNIX)
            connection.connect(self._path)
            self._open[number] = connection
            threading.Thread(target=self._answer, args=(number, connection), daemon=True).start()
        connection.sendall(payload)

    def _answer(self, number: int, connection: socket.socket) -> None:
        try:
            while chunk := connection.recv(_CHUNK):
                self._send(number, chunk)
            self._send(number, b"")
        except OSError:
            connection.close()

    def _send(self, number: int, chunk: bytes) -> None:
        with self._sending:
            self._wire.connection.sendall(_HEAD.pack(number, len(chunk)) + chunk)
