"""A small real plugin: answers Docker's plugin protocol on a Unix socket, as the test says."""

from __future__ import annotations

import json
import socketserver
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

from support.serving import Serving

Method = Callable[[dict[str, Any]], dict[str, Any]]


class PluginError(Exception):
    """Raised by a method: the plugin answers 500 with this as its ``Err``."""


class FakePlugin(Serving):
    """Listens at *path* while its context lasts; *methods* by ``VolumeDriver.Create``."""

    def __init__(self, path: Path, implements: list[str], methods: dict[str, Method]) -> None:
        self.calls: list[tuple[str, dict[str, Any]]] = []
        self.methods: dict[str, Method] = {
            "Plugin.Activate": lambda _: {"Implements": implements},
            **methods,
        }
        path.parent.mkdir(parents=True, exist_ok=True)
        self._path = path
        plugin = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, format: str, *args: object) -> None:  # noqa: A002
                """Say nothing."""

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                status, answer = plugin.answer(
                    self.path.removeprefix("/"), json.loads(body or b"{}")
                )
                self.send_response(status)
                self.send_header("Content-Length", str(len(answer)))
                self.end_headers()
                self.wfile.write(answer)

        class Server(socketserver.ThreadingUnixStreamServer):
            daemon_threads = True

            def get_request(self) -> tuple[Any, Any]:
                request, _ = super().get_request()
                return request, ("plugin", 0)

            def handle_error(self, request: Any, client_address: Any) -> None:
                """Say nothing of clients that did not wait."""

        super().__init__(Server(str(path), Handler))

    def answer(self, method: str, request: dict[str, Any]) -> tuple[int, bytes]:
        self.calls.append((method, request))
        try:
            document = self.document(method, request)
        except PluginError as error:
            return 500, json.dumps({"Err": str(error)}).encode()
        if document is None:
            return 404, b"page not found"
        return 200, document["raw"] if "raw" in document else json.dumps(document).encode()

    def document(self, method: str, request: dict[str, Any]) -> dict[str, Any] | None:
        """Return the answer; None: there is no such method."""
        return self.methods[method](request) if method in self.methods else None

    def called(self, method: str) -> list[dict[str, Any]]:
        """Return the requests of one method."""
        return [request for name, request in self.calls if name == method]

    def __exit__(self, *exit_: object) -> None:
        super().__exit__(*exit_)
        self._path.unlink(missing_ok=True)


class VolumePlugin(FakePlugin):
    """Keeps volumes as directories below *root*."""

    def __init__(self, path: Path, root: Path) -> None:
        self.root = root
        self.volumes: dict[str, dict[str, Any]] = {}
        super().__init__(
            path,
            ["VolumeDriver"],
            {
                "VolumeDriver.Create": self._create,
                "VolumeDriver.Remove": self._remove,
                "VolumeDriver.Mount": lambda r: {"Mountpoint": str(self._find(r))},
                "VolumeDriver.Unmount": lambda r: {"Err": str(self._find(r))[:0]},
                "VolumeDriver.Path": lambda r: {"Mountpoint": str(self._find(r))},
                "VolumeDriver.Get": lambda r: {"Volume": self._described(r)},
                "VolumeDriver.List": lambda _: {
                    "Volumes": [{"Name": name} for name in self.volumes], "Err": "",
                },
                "VolumeDriver.Capabilities": lambda _: {"Capabilities": {"Scope": "global"}},
            },
        )  # fmt: skip

    def _create(self, request: dict[str, Any]) -> dict[str, Any]:
        if (request.get("Opts") or {}).get("fail"):
            raise PluginError("no room on the storage")
        self.volumes[request["Name"]] = request.get("Opts") or {}
        (self.root / request["Name"]).mkdir(parents=True)
        return {"Err": ""}

    def _remove(self, request: dict[str, Any]) -> dict[str, Any]:
        self._find(request).rmdir()
        del self.volumes[request["Name"]]
        return {"Err": ""}

    def _find(self, request: dict[str, Any]) -> Path:
        if request["Name"] not in self.volumes:
            raise PluginError(f"unknown volume {request['Name']}")
        return self.root / str(request["Name"])

    def _described(self, request: dict[str, Any]) -> dict[str, Any]:
        path = self._find(request)
        return {"Name": request["Name"], "Mountpoint": str(path), "Status": {"health": "good"}}
