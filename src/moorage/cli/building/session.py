"""A build session from the client's side: what is sent before the build, and fetched after it."""

from __future__ import annotations

import posix
from binascii import b2a_base64

from moorage.cli.building import context
from moorage.client import files, jsonwire

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import Any

    from moorage.cli.building.view import View
    from moorage.client.api import Api


class BuildSession:
    """One session with the daemon; use as a context."""

    def __init__(
        self, api: Api, secrets: dict[str, bytes], dockerfile: bytes | None, auth: dict[str, Any]
    ) -> None:
        """Begin. Raises: NotFound, if the daemon has no sessions (it is no moord)."""
        encoded = {name: _base64(value) for name, value in secrets.items()}
        text = None if dockerfile is None else _base64(dockerfile)
        config = _base64(jsonwire.encode(auth).encode())
        answer = api.post(
            "/build/session", {"Secrets": encoded, "Dockerfile": text, "Auth": config}
        )
        self.id = str(answer["ID"])
        self._api = api

    @property
    def _path(self) -> str:
        return f"/build/session/{self.id}"

    def __enter__(self) -> BuildSession:  # noqa: PYI034 - typing is not imported here
        """Return the session."""
        return self

    def __exit__(self, *_: object) -> None:
        """End it."""
        self._api.delete(self._path)

    def send(self, name: str, tree: context.Tree, key: str, view: View) -> None:
        """Send what the daemon lacks of a directory."""
        query: dict[str, object] = {"name": name, "key": key}
        facts = jsonwire.encode(tree.facts).encode()
        response = self._api.request("POST", f"{self._path}/context", query, body=facts)
        wanted = jsonwire.decode(response.read())
        label = {
            "type": "status",
            "id": f"context {name}",
            "name": f"[internal] send {name}: {len(wanted)} of {len(tree.facts)} files",
        }
        sent = 0

        def chunks() -> Iterator[bytes]:
            nonlocal sent
            for chunk in tree.pack(wanted):
                sent += len(chunk)
                yield chunk

        headers = {"Content-Type": "application/x-tar"}
        self._api.request(
            "PUT", f"{self._path}/context", query, body=chunks(), headers=headers
        ).read()
        view.take({**label, "current": sent})
        view.take({**label, "type": "vertex", "started_ns": 1, "completed_ns": 1})

    def send_archive(self, head: bytes) -> None:
        """Send the archive whose first bytes were read from standard input already."""

        def chunks() -> Iterator[bytes]:
            yield head
            while chunk := posix.read(0, 1 << 16):
                yield chunk

        headers = {"Content-Type": "application/x-tar"}
        path = f"{self._path}/archive"
        self._api.request("PUT", path, {}, body=chunks(), headers=headers).read()

    def build(
        self, options: dict[str, Any], tick: Callable[[], None] | None
    ) -> Iterator[dict[str, Any]]:
        """Build; yield the events, and call *tick* again and again while there are none."""
        response = self._api.request("POST", f"{self._path}/build", json=options)
        response.wire.while_idle = tick
        try:
            yield from self._api.stream_json(response)
        finally:
            response.wire.while_idle = None

    def fetch_directory(self, kind: str, destination: str) -> None:
        """Fetch an output and unpack it to a directory."""
        from moorage.cli.copying.unpack import unpack

        response = self._api.request("GET", f"{self._path}/output", {"kind": kind})
        files.make_directories(destination, 0o777)
        unpack(response.chunks(), destination, None)

    def fetch(self, kind: str, destination: str) -> None:
        """Fetch an output: a directory is filled, a file or standard output written."""
        if kind == "local":
            self.fetch_directory(kind, destination)
            return
        response = self._api.request("GET", f"{self._path}/output", {"kind": kind})
        if destination == "-":
            for chunk in response.chunks():
                posix.write(1, chunk)
            return
        temporary = f"{destination}.partial"
        with open(temporary, "wb") as file:
            for chunk in response.chunks():
                file.write(chunk)
        posix.replace(temporary, destination)


def _base64(value: bytes) -> str:
    return b2a_base64(value, newline=False).decode()
