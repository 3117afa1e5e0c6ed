"""A small plugin of Docker's v1 protocol, on a socket where daemons look for plugins."""

from __future__ import annotations

import json
import socketserver
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any, Self

SOCKETS = Path("/run/docker/plugins")

Answer = Callable[[str, dict[str, Any]], dict[str, Any]]


class Plugin:
    """Answers every call by *answer(method, request)*; remembers the calls. Use with ``with``."""

    def __init__(self, name: str, implements: list[str], answer: Answer) -> None:
        self.name = name
        self.calls: list[tuple[str, dict[str, Any]]] = []
        self._path = SOCKETS / f"{name}.sock"
        plugin = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                size = int(self.headers.get("Content-Length") or 0)
                request = json.loads(self.rfile.read(size) or b"{}")
                method = self.path.strip("/")
                if method == "Plugin.Activate":
                    self._send({"Implements": implements})
                    return
                plugin.calls.append((method, request))
                self._send(answer(method, request))

            def _send(self, value: dict[str, Any]) -> None:
                body = json.dumps(value).encode()
                self.send_response(200)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, format: str, *args: object) -> None:  # noqa: A002
                pass

            def address_string(self) -> str:
                return "unix"

        SOCKETS.mkdir(parents=True, exist_ok=True)
        self._server = socketserver.ThreadingUnixStreamServer(str(self._path), Handler)
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._path.unlink(missing_ok=True)

    def seen(self, method: str) -> list[dict[str, Any]]:
        """Return the requests of one method."""
        return [request for name, request in self.calls if name == method]
