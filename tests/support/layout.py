"""OCI layouts made on the spot, with one image for each of several platforms."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import tarfile
from collections.abc import Callable, Mapping
from typing import Any

import zstandard

from support import images


def members(archive: bytes) -> dict[str, bytes]:
    found = {}
    with tarfile.open(fileobj=io.BytesIO(archive)) as tar:
        for member in tar:
            file = tar.extractfile(member) if member.isfile() else None
            if file is not None:
                found[member.name] = file.read()
    return found


def pack(files: Mapping[str, bytes]) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as tar:
        for name, data in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
    return out.getvalue()


def blob(data: bytes) -> tuple[str, str]:
    """Return the digest of a blob and its place in an OCI layout."""
    digest = hashlib.sha256(data).hexdigest()
    return f"sha256:{digest}", f"blobs/sha256/{digest}"


class Layout:
    """An OCI layout being made."""

    def __init__(self) -> None:
        self.files = {"oci-layout": b'{"imageLayoutVersion":"1.0.0"}'}
        self.entries: list[dict[str, Any]] = []

    def add(self, data: bytes, media_type: str, **more: Any) -> dict[str, Any]:
        digest, place = blob(data)
        self.files[place] = data
        return {"mediaType": media_type, "digest": digest, "size": len(data), **more}

    def image(self, text: str, architecture: str, packer: str = "gzip") -> dict[str, Any]:
        plain = images.layer([images.Entry("file", text.encode() * 100)])
        packers: dict[str, Callable[[bytes], bytes]] = {"gzip": gzip.compress, "": bytes}
        packed = {**packers, "zstd": zstandard.compress}[packer](plain)
        suffix = f"+{packer}" if packer else ""
        layer = self.add(packed, f"application/vnd.oci.image.layer.v1.tar{suffix}")
        config = {
            "architecture": architecture,
            "os": "linux",
            "rootfs": {"type": "layers", "diff_ids": [blob(plain)[0]]},
        }
        document: dict[str, Any] = {
            "schemaVersion": 2,
            "mediaType": "application/vnd.oci.image.manifest.v1+json",
            "config": self.add(
                json.dumps(config).encode(), "application/vnd.oci.image.config.v1+json"
            ),
            "layers": [layer],
        }
        platform = {"os": "linux", "architecture": architecture}
        data = json.dumps(document, indent=1).encode()
        return self.add(data, document["mediaType"], platform=platform)

    def index(self, *entries: dict[str, Any]) -> dict[str, Any]:
        media_type = "application/vnd.oci.image.index.v1+json"
        document = {"schemaVersion": 2, "mediaType": media_type, "manifests": list(entries)}
        return self.add(json.dumps(document).encode(), media_type)

    def archive(self, entry: dict[str, Any], name: str) -> bytes:
        annotated = {**entry, "annotations": {"io.containerd.image.name": name}}
        index = {"schemaVersion": 2, "manifests": [annotated]}
        return pack({**self.files, "index.json": json.dumps(index).encode()})
