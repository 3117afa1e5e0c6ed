"""Containers for tests, by the raw API: made, started, watched, and their streams taken over."""

from __future__ import annotations

import json
import socket
import struct
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Self

from support.api import Api

IMAGE = "busybox"


def create(
    api: Api,
    *command: str,
    name: str | None = None,
    host: dict[str, Any] | None = None,
    **config: Any,
) -> str:
    """Create a container without network unless *host* says otherwise; return its id."""
    body = {
        "Image": IMAGE,
        "Cmd": list(command) or ["true"],
        "HostConfig": {"NetworkMode": "none", **(host or {})},
        **config,
    }
    made: str = api.post("/containers/create", body, name=name).ok(201).json()["Id"]
    return made


def run(api: Api, *command: str, **options: Any) -> str:
    """Create and start a container; return its id."""
    container_id = create(api, *command, **options)
    api.post(f"/containers/{container_id}/start").ok(204)
    return container_id


def sleeper(api: Api, **options: Any) -> str:
    """Start a container that does nothing for long and ends at once when asked."""
    loop = "trap 'exit 0' TERM; echo up; while :; do sleep 0.05; done"
    container_id = run(api, "sh", "-c", loop, **options)
    until(lambda: "up" in output(api, container_id))
    return container_id


def wait(api: Api, container_id: str, condition: str = "") -> int:
    """Wait for its end; return the exit code."""
    path = f"/containers/{container_id}/wait"
    code: int = api.post(path, condition=condition or None).ok().json()["StatusCode"]
    return code


def inspect(api: Api, container_id: str) -> Any:
    """Return what the daemon tells of it."""
    return api.get(f"/containers/{container_id}/json").ok().json()


def state(api: Api, container_id: str) -> Any:
    """Return its state."""
    return inspect(api, container_id)["State"]


def output(api: Api, container_id: str) -> str:
    """Return all that it wrote, both streams in order of arrival."""
    query = {"stdout": True, "stderr": True}
    answer = api.get(f"/containers/{container_id}/logs", **query).ok()
    if answer.headers["content-type"].endswith("raw-stream"):
        return answer.body.decode(errors="replace")
    return b"".join(piece for _, piece in frames(answer.body)).decode(errors="replace")


def ask(api: Api, *command: str, **options: Any) -> str:
    """Run a container to its end, remove it, and return what it wrote; it must end well."""
    container_id = run(api, *command, **options)
    code, said = wait(api, container_id), output(api, container_id)
    api.delete(f"/containers/{container_id}", force=True, v=True).ok()
    assert code == 0, f"{command}: exit {code}: {said}"
    return said.strip()


def frames(data: bytes) -> list[tuple[int, bytes]]:
    """Split the multiplexed stream into (stream, bytes)."""
    found: list[tuple[int, bytes]] = []
    while data:
        stream, size = struct.unpack(">BxxxI", data[:8])
        found.append((stream, data[8 : 8 + size]))
        data = data[8 + size :]
    return found


def until(condition: Callable[[], bool], timeout_s: float = 10) -> None:
    """Wait for what cannot be waited for by an event."""
    deadline = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.02)


def parent(pid: int) -> int:
    """Return the parent of a process on the host: of a container's, its monitor."""
    status = Path(f"/proc/{pid}/status").read_text()
    return next(int(x.split()[1]) for x in status.splitlines() if x.startswith("PPid"))


def is_dead(pid: int) -> bool:
    """Whether it has ended; an orphan may wait for whoever is process 1 to look at it."""
    try:
        return "\nState:\tZ" in Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return True


def exec_(api: Api, container_id: str, *command: str, **config: Any) -> tuple[int, str]:
    """Execute a command in it; return exit code and output."""
    body = {"Cmd": list(command), "AttachStdout": True, "AttachStderr": True, **config}
    exec_id = api.post(f"/containers/{container_id}/exec", body).ok(201).json()["Id"]
    with Hijack(api, f"/exec/{exec_id}/start", {"Tty": bool(config.get("Tty"))}) as stream:
        data = stream.rest()
    said = data if config.get("Tty") else b"".join(piece for _, piece in frames(data))
    until(lambda: not api.get(f"/exec/{exec_id}/json").json()["Running"])
    code: int = api.get(f"/exec/{exec_id}/json").ok().json()["ExitCode"]
    return code, said.decode(errors="replace")


class Hijack:
    """A connection taken out of HTTP by POST."""

    def __init__(self, api: Api, path: str, body: object = None) -> None:
        text = json.dumps(body or {}).encode()
        head = (
            f"POST {api.prefix}{path} HTTP/1.1\r\nHost: moorage\r\nConnection: Upgrade\r\n"
            f"Upgrade: tcp\r\nContent-Type: application/json\r\nContent-Length: {len(text)}\r\n\r\n"
        )
        self.socket: socket.socket = api.raw(head.encode() + text)
        self._buffer = b""
        while b"\r\n\r\n" not in self._buffer:
            piece = self.socket.recv(65536)
            assert piece, f"closed in the head: {self._buffer!r}"
            self._buffer += piece
        raw, _, self._buffer = self._buffer.partition(b"\r\n\r\n")
        self.head = raw.decode()
        assert self.head.startswith("HTTP/1.1 101"), (self.head, self._buffer)

    def send(self, data: bytes) -> None:
        """Send input."""
        self.socket.sendall(data)

    def end_input(self) -> None:
        """Half-close."""
        self.socket.shutdown(socket.SHUT_WR)

    def read_until(self, wanted: bytes) -> bytes:
        """Read until *wanted* has come; return all up to and with it."""
        while wanted not in self._buffer:
            piece = self.socket.recv(65536)
            assert piece, f"closed before {wanted!r}: {self._buffer!r}"
            self._buffer += piece
        before, found, self._buffer = self._buffer.partition(wanted)
        return before + found

    def rest(self) -> bytes:
        """Read to the end."""
        pieces = [self._buffer, *iter(lambda: self.socket.recv(65536), b"")]
        self._buffer = b""
        return b"".join(pieces)

    def close(self) -> None:
        """Leave."""
        self.socket.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
