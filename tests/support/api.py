"""A raw client of the Engine API over a Unix socket: what it sends and gets is not dressed up."""

from __future__ import annotations

import http.client
import json
import socket
import time
from collections.abc import Generator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode


class _UnixConnection(http.client.HTTPConnection):
    def __init__(self, path: Path, timeout: float) -> None:
        super().__init__("moorage", timeout=timeout)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(str(self._path))


@dataclass(frozen=True, slots=True)
class Response:
    """An answer, read whole."""

    status: int
    headers: Mapping[str, str]  # lower-case names
    body: bytes

    def json(self) -> Any:
        """Return the body as a JSON document."""
        return json.loads(self.body)

    def lines(self) -> list[Any]:
        """Return the body as one JSON document a line."""
        return [json.loads(line) for line in self.body.splitlines() if line.strip()]

    @property
    def message(self) -> str:
        """Return the daemon's message of an error."""
        return str(self.json()["message"])

    def ok(self, *statuses: int) -> Response:
        """Demand success, or one of *statuses*."""
        wanted = statuses or (200, 201, 202, 204, 304)
        assert self.status in wanted, f"{self.status}: {self.body[:2000]!r}"
        return self


class Api:
    """Requests, each on a connection of its own."""

    def __init__(self, path: Path, version: str = "1.55") -> None:
        self.path = path
        self.prefix = f"/v{version}" if version else ""
        self.clock = wall_clock  # as the daemon reads it

    def at(self, version: str) -> Api:
        """Return a client that speaks another version; "" = no prefix."""
        return Api(self.path, version)

    def request(
        self,
        method: str,
        path: str,
        body: object = None,
        *,
        query: Mapping[str, object] | None = None,
        headers: Mapping[str, str] | None = None,
        timeout: float = 60,
    ) -> Response:
        """Send one request; bytes go as they are, everything else as JSON."""
        connection = _UnixConnection(self.path, timeout)
        sent = {"Host": "moorage", **(headers or {})}
        raw: bytes | None = None
        if isinstance(body, bytes):
            raw = body
            sent.setdefault("Content-Type", "application/x-tar")
        elif body is not None:
            raw = json.dumps(body).encode()
            sent.setdefault("Content-Type", "application/json")
        try:
            connection.request(method, self._target(path, query), raw, sent)
            response = connection.getresponse()
            return Response(
                response.status,
                {name.lower(): value for name, value in response.getheaders()},
                response.read(),
            )
        finally:
            connection.close()

    def _target(self, path: str, query: Mapping[str, object] | None) -> str:
        pairs = [(k, _text(v)) for k, v in (query or {}).items() if v is not None]
        return f"{self.prefix}{quote(path, safe='/:@%')}" + (
            f"?{urlencode(pairs)}" if pairs else ""
        )

    def get(self, path: str, **query: object) -> Response:
        """GET with query parameters."""
        return self.request("GET", path, query=query)

    def post(self, path: str, body: object = None, **query: object) -> Response:
        """POST with query parameters."""
        return self.request("POST", path, body, query=query)

    def delete(self, path: str, **query: object) -> Response:
        """DELETE with query parameters."""
        return self.request("DELETE", path, query=query)

    def events(self, since: float, **filters: list[str]) -> list[Any]:
        """Return the events from *since* until now."""
        now = self.clock()
        query = {"since": f"{since:.9f}", "until": f"{now:.9f}", "filters": filters or None}
        return self.request("GET", "/events", query=query).ok().lines()

    def raw(self, data: bytes, *, timeout: float = 10) -> socket.socket:
        """Send bytes on a new connection and return it."""
        connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        connection.settimeout(timeout)
        connection.connect(str(self.path))
        connection.sendall(data)
        return connection

    def exchange(self, data: bytes, *, timeout: float = 10) -> bytes:
        """Send bytes, half-close, and return all that comes back."""
        with self.raw(data, timeout=timeout) as connection:
            connection.shutdown(socket.SHUT_WR)
            return b"".join(iter(lambda: connection.recv(65536), b""))

    def stream(
        self, path: str, *, timeout: float = 30, **query: object
    ) -> Generator[Any, None, None]:
        """Yield the JSON documents of a stream as they come, until closed by the caller."""
        connection = _UnixConnection(self.path, timeout)
        try:
            connection.request("GET", self._target(path, query), headers={"Host": "moorage"})
            response = connection.getresponse()
            assert response.status == 200, response.read()
            while line := response.readline():
                yield json.loads(line)
        finally:
            connection.close()


def _text(value: object) -> str:
    if isinstance(value, bool):
        return "1" if value else "0"
    return json.dumps(value) if isinstance(value, dict | list) else str(value)


def wall_clock() -> float:
    """Return the wall clock as the daemon reads it."""
    return time.time()
