# ruff: noqa: N815 - do_GET and its kin are the names of http.server
"""A registry of the tests' own, which can be told to lie, to stall, to ask for credentials.

It speaks enough of the distribution specification for pull and push. A *fault* is a function that
is given the request and may answer it in the registry's place.
"""

from __future__ import annotations

import base64
import contextlib
import gzip
import hashlib
import json
import re
import ssl
import threading
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

from support.serving import Serving

OCI_MANIFEST = "application/vnd.oci.image.manifest.v1+json"
OCI_INDEX = "application/vnd.oci.image.index.v1+json"
OCI_CONFIG = "application/vnd.oci.image.config.v1+json"
OCI_LAYER_GZIP = "application/vnd.oci.image.layer.v1.tar+gzip"

_MANIFESTS = re.compile(r"/v2/(.+)/manifests/([^/]+)\Z")
_BLOBS = re.compile(r"/v2/(.+)/blobs/(sha256:[0-9a-f]{64})\Z")
_UPLOADS = re.compile(r"/v2/(.+)/blobs/uploads/([^/]*)\Z")
_TAGS = re.compile(r"/v2/(.+)/tags/list\Z")


def digest_of(data: bytes) -> str:
    return "sha256:" + hashlib.sha256(data).hexdigest()


@dataclass
class Seen:
    """One request as it arrived."""

    method: str
    path: str
    headers: dict[str, str]


Fault = Callable[["Handler"], bool]  # True: it has answered


@dataclass
class State:
    """What a registry holds and how it behaves."""

    manifests: dict[tuple[str, str], tuple[str, bytes]] = field(default_factory=dict)
    blobs: dict[tuple[str, str], bytes] = field(default_factory=dict)
    uploads: dict[str, bytearray] = field(default_factory=dict)
    faults: list[Fault] = field(default_factory=list)
    seen: list[Seen] = field(default_factory=list)
    basic: tuple[str, str] | None = None  # user, password
    realm: str | None = None  # of a token server
    tokens: set[str] = field(default_factory=set)  # bearer tokens that open the door
    ranges: bool = True
    page: int = 0  # tags a page; 0: all at once


class FakeRegistry(Serving):
    """A registry at ``host`` for as long as the context lasts."""

    def __init__(
        self,
        *,
        certificate: tuple[Path, Path] | None = None,
        client_authority: Path | None = None,
    ) -> None:
        self.state = State()
        handler = type("Bound", (Handler,), {"state": self.state})
        server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
        server.daemon_threads = True
        if certificate is not None:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(*certificate)
            if client_authority is not None:
                context.load_verify_locations(client_authority)
                context.verify_mode = ssl.CERT_REQUIRED
            server.socket = context.wrap_socket(
                server.socket, server_side=True, do_handshake_on_connect=False
            )
        self.host = f"127.0.0.1:{server.server_address[1]}"
        super().__init__(server)

    def add_blob(self, repository: str, data: bytes) -> dict[str, Any]:
        digest = digest_of(data)
        self.state.blobs[repository, digest] = data
        return {"digest": digest, "size": len(data)}

    def add_manifest(
        self, repository: str, tag: str, document: dict[str, Any] | bytes, media_type: str = ""
    ) -> str:
        data = document if isinstance(document, bytes) else json.dumps(document).encode()
        if not media_type and isinstance(document, dict):
            media_type = str(document.get("mediaType", OCI_MANIFEST))
        digest = digest_of(data)
        for name in (tag, digest):
            self.state.manifests[repository, name] = (media_type, data)
        return digest

    def add_image(self, repository: str, tag: str, layers: list[bytes], config: bytes) -> str:
        """Add an image of gzip *layers*; return the digest of its manifest."""
        entries = [
            {"mediaType": OCI_LAYER_GZIP, **self.add_blob(repository, layer)} for layer in layers
        ]
        document = {
            "schemaVersion": 2,
            "mediaType": OCI_MANIFEST,
            "config": {"mediaType": OCI_CONFIG, **self.add_blob(repository, config)},
            "layers": entries,
        }
        return self.add_manifest(repository, tag, document)

    def add_simple_image(
        self, repository: str, tag: str, layers: list[bytes], **config: object
    ) -> str:
        """Add an image of uncompressed *layers*, which are gzipped; return its digest."""
        document = {
            "architecture": "amd64",
            "os": "linux",
            "config": {},
            "rootfs": {"type": "layers", "diff_ids": [digest_of(layer) for layer in layers]},
            **config,
        }
        packed = [gzip.compress(layer, 1, mtime=0) for layer in layers]
        return self.add_image(repository, tag, packed, json.dumps(document).encode())

    def add_index(self, repository: str, tag: str, entries: list[dict[str, Any]]) -> str:
        """Add an index; each of *entries* is a descriptor without type and size."""
        manifests = [
            {
                "mediaType": OCI_MANIFEST,
                "size": len(self.state.manifests[repository, entry["digest"]][1]),
                **entry,
            }
            for entry in entries
        ]
        return self.add_manifest(
            repository, tag, {"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": manifests}
        )

    def requests(self, method: str, part: str) -> list[Seen]:
        """Return the requests of *method* whose path holds *part*."""
        return [s for s in self.state.seen if s.method == method and part in s.path]


class Handler(BaseHTTPRequestHandler):
    """One connection."""

    state: State
    protocol_version = "HTTP/1.1"

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        """Say nothing."""

    def handle(self) -> None:
        with contextlib.suppress(ConnectionError, ssl.SSLError):
            super().handle()

    def reply(self, status: int, body: bytes = b"", headers: dict[str, str] | None = None) -> None:
        self.send_response(status)
        lines = {"Content-Length": str(len(body)), **(headers or {})}
        for name, value in lines.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def refuse(self, status: int, code: str, message: str, **headers: str) -> None:
        body = json.dumps({"errors": [{"code": code, "message": message}]}).encode()
        lines = {name.replace("_", "-"): value for name, value in headers.items()}
        self.reply(status, body, {"Content-Type": "application/json", **lines})

    def hang_up(self) -> None:
        """Close the connection at once."""
        self.close_connection = True
        self.connection.close()

    def _serve(self) -> None:
        parts = urlsplit(self.path)
        self.where = parts.path
        self.query = {k: v[0] for k, v in parse_qs(parts.query).items()}
        lines = {k.lower(): v for k, v in self.headers.items()}
        self.state.seen.append(Seen(self.command, self.path, lines))
        self.body = self._read_body()
        for fault in self.state.faults:
            if fault(self):
                return
        if not self._allowed():
            return
        for pattern, serve in (
            (_UPLOADS, self._upload),
            (_MANIFESTS, self._manifest),
            (_BLOBS, self._blob),
            (_TAGS, self._tags),
        ):
            if found := pattern.match(self.where):
                serve(*found.groups())
                return
        if self.where == "/v2/":
            self.reply(200, b"{}")
        else:
            self.refuse(404, "NOT_FOUND", "not found")

    do_GET = do_HEAD = do_POST = do_PUT = do_PATCH = _serve

    def _read_body(self) -> bytes:
        if self.headers.get("Transfer-Encoding") == "chunked":
            body = b""
            while size := int(self.rfile.readline(), 16):
                body += self.rfile.read(size)
                self.rfile.readline()
            self.rfile.readline()
            return body
        return self.rfile.read(int(self.headers.get("Content-Length") or 0))

    def _allowed(self) -> bool:
        given = self.headers.get("Authorization") or ""
        if self.state.basic is not None:
            wanted = "Basic " + base64.b64encode(":".join(self.state.basic).encode()).decode()
            if given == wanted:
                return True
            challenge = 'Basic realm="test"'
        elif self.state.realm is not None:
            if given.removeprefix("Bearer ") in self.state.tokens:
                return True
            challenge = f'Bearer realm="{self.state.realm}",service="test"'
        else:
            return True
        self.refuse(401, "UNAUTHORIZED", "authentication required", WWW_Authenticate=challenge)
        return False

    def _manifest(self, repository: str, wanted: str) -> None:
        if self.command == "PUT":
            media_type = self.headers.get("Content-Type") or ""
            digest = digest_of(self.body)
            for name in (wanted, digest):
                self.state.manifests[repository, name] = (media_type, self.body)
            self.reply(201, b"", {"Docker-Content-Digest": digest})
            return
        found = self.state.manifests.get((repository, wanted))
        if found is None:
            self.refuse(404, "MANIFEST_UNKNOWN", "manifest unknown")
            return
        media_type, data = found
        self.reply(
            200, data, {"Content-Type": media_type, "Docker-Content-Digest": digest_of(data)}
        )

    def _blob(self, repository: str, digest: str) -> None:
        data = self.state.blobs.get((repository, digest))
        if data is None:
            self.refuse(404, "BLOB_UNKNOWN", "blob unknown to registry")
            return
        start = re.fullmatch(r"bytes=(\d+)-", self.headers.get("Range") or "")
        if start and self.state.ranges:
            first = int(start[1])
            headers = {"Content-Range": f"bytes {first}-{len(data) - 1}/{len(data)}"}
            self.reply(206, data[first:], headers)
        else:
            self.reply(200, data)

    def _upload(self, repository: str, session: str) -> None:
        if self.command == "POST":
            mounted = self.state.blobs.get(
                (self.query.get("from", ""), self.query.get("mount", ""))
            )
            if mounted is not None:
                self.state.blobs[repository, self.query["mount"]] = mounted
                self.reply(201)
                return
            session = uuid.uuid4().hex
            self.state.uploads[session] = bytearray()
            self.reply(202, b"", {"Location": f"/v2/{repository}/blobs/uploads/{session}"})
            return
        upload = self.state.uploads.get(session)
        if upload is None:
            self.refuse(404, "BLOB_UPLOAD_UNKNOWN", "upload unknown")
            return
        upload += self.body
        where = {"Location": self.where, "Range": f"0-{max(len(upload) - 1, 0)}"}
        if self.command == "GET":
            self.reply(204, b"", where)
        elif self.command == "PATCH":
            self.reply(202, b"", where)
        elif digest_of(bytes(upload)) != self.query.get("digest"):
            self.refuse(400, "DIGEST_INVALID", "provided digest did not match uploaded content")
        else:
            self.state.blobs[repository, self.query["digest"]] = bytes(upload)
            self.reply(201, b"", {"Docker-Content-Digest": self.query["digest"]})

    def _tags(self, repository: str) -> None:
        tags = sorted(t for r, t in self.state.manifests if r == repository and ":" not in t)
        headers = {}
        if self.state.page:
            last = self.query.get("last", "")
            rest = [t for t in tags if t > last]
            tags = rest[: self.state.page]
            if len(rest) > len(tags):
                headers["Link"] = f'</v2/{repository}/tags/list?last={tags[-1]}>; rel="next"'
        if not tags:
            self.refuse(404, "NAME_UNKNOWN", "repository name not known to registry")
            return
        self.reply(200, json.dumps({"name": repository, "tags": tags}).encode(), headers)


@contextlib.contextmanager
def token_server(
    give: Callable[[dict[str, list[str]], dict[str, str]], tuple[int, dict[str, Any]]],
) -> Iterator[str]:
    """Run a token server; *give* gets the parameters and headers; the context is its address."""

    class Tokens(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002
            """Say nothing."""

        def _serve(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0)).decode()
            text = urlsplit(self.path).query if self.command == "GET" else body
            lines = {k.lower(): v for k, v in self.headers.items()}
            status, document = give(parse_qs(text), {**lines, ":method": self.command})
            answer = json.dumps(document).encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)

        do_GET = do_POST = _serve

    server = ThreadingHTTPServer(("127.0.0.1", 0), Tokens)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}/token"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
