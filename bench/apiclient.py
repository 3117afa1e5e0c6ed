"""The engines' API without a client program: what the daemon alone takes."""

from __future__ import annotations

import http.client
import json
import socket
import time
from pathlib import Path

from bench import engines as eng


class Api(http.client.HTTPConnection):
    """One kept connection to a daemon's socket."""

    def __init__(self, engine: eng.Daemon) -> None:
        super().__init__("localhost")
        self._path: Path = engine.socket

    def connect(self) -> None:
        """Connect to the Unix socket."""
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.connect(str(self._path))

    def seconds(self, method: str, path: str, body: object = None) -> float:
        """Return how long one request took.

        Raises: RuntimeError, if it was refused.
        """
        began = time.perf_counter()
        self.request(
            method,
            f"/v1.41{path}",
            None if body is None else json.dumps(body),
            {"Content-Type": "application/json"},
        )
        answer = self.getresponse()
        said = answer.read()
        took = time.perf_counter() - began
        if answer.status >= 300:
            raise RuntimeError(f"{method} {path}: {answer.status} {said.decode()}")
        return took
