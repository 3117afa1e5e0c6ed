"""This machine's SSH agent for commands of a build (``--ssh``); the frames are the daemon's.

Key files are given to an agent of their own, which lives no longer than this process: the program
that ends it waits for the end of a pipe of ours.
"""

from __future__ import annotations

import os
import socket
import struct
import tempfile
import threading
from contextlib import suppress

from moorage.cli.failure import CommandError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from moorage.cli.session import Session
    from moorage.client.http import Wire

_HEAD = struct.Struct(">II")
_CHUNK = 16 << 10
_KEEP = 'ssh-add -q "$@" && echo ready && cat; kill "$SSH_AGENT_PID"'


def start(session: Session, build: str, text: str) -> Agent:
    """Offer an agent: ``default``, ``id``, ``id=socket`` or ``id=key,key…``.

    Raises: CommandError (no agent there, or a key that cannot be used).
    """
    name, _, path = text.partition("=")
    path = path or session.environ.get("SSH_AUTH_SOCK", "")
    if not path:
        raise CommandError(f"no SSH agent for --ssh {text}: SSH_AUTH_SOCK is not set")
    paths = path.split(",")
    for one in paths:
        if not os.path.exists(one):
            raise CommandError(f"--ssh {text}: {one} does not exist")
    keys = None
    if all(os.path.isfile(one) for one in paths):
        keys = Keys(paths)
        path = keys.socket
    elif len(paths) > 1:
        raise CommandError(f"--ssh {text}: give one socket, or key files")
    wire = session.another_api().hijack(f"/build/session/{build}/agent", {"id": name})
    return Agent(wire, path, keys)


class Keys:
    """An agent that holds the keys of some files."""

    def __init__(self, paths: list[str]) -> None:
        """Start it; ssh-add asks for passphrases on the terminal. Raises: CommandError."""
        self._directory = tempfile.mkdtemp(prefix="moor-ssh-")
        self.socket = os.path.join(self._directory, "agent.sock")
        in_read, self._pipe = os.pipe()
        out_read, out_write = os.pipe()
        actions = [(os.POSIX_SPAWN_DUP2, in_read, 0), (os.POSIX_SPAWN_DUP2, out_write, 1)]
        command = ["ssh-agent", "-a", self.socket, "sh", "-c", _KEEP, "sh", *paths]
        try:
            self._pid = os.posix_spawnp(command[0], command, os.environ, file_actions=actions)
        except OSError as error:
            os.close(self._pipe)
            os.rmdir(self._directory)
            raise CommandError(
                f"cannot start ssh-agent for a key file: {error.strerror}"
            ) from error
        finally:
            os.close(in_read)
            os.close(out_write)
        with os.fdopen(out_read, "rb") as out:
            if out.readline() != b"ready\n":
                self.close()
                raise CommandError(f"ssh-add cannot use {', '.join(paths)}")

    def close(self) -> None:
        """End the agent and forget the keys."""
        os.close(self._pipe)
        os.waitpid(self._pid, 0)
        with suppress(FileNotFoundError):
            os.unlink(self.socket)
        os.rmdir(self._directory)


class Agent:
    """Carries connections of the build to an agent's socket, in threads of its own."""

    def __init__(self, wire: Wire, path: str, keys: Keys | None) -> None:
        self._wire = wire
        self._path = path
        self._keys = keys
        self._open: dict[int, socket.socket] = {}
        self._sending = threading.Lock()
        threading.Thread(target=self._receive, daemon=True).start()

    def close(self) -> None:
        """End all connections."""
        self._wire.connection.close()
        if self._keys is not None:
            self._keys.close()

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
