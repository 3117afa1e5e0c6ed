"""Writing a cache: as an image manifest whose configuration is the cache's document."""

from __future__ import annotations

from collections.abc import AsyncIterator
from functools import partial
from pathlib import Path
from typing import BinaryIO, Final

import msgspec
from msgspec.structs import replace

from moorage.build import layout
from moorage.build.layout import Blobs, OpenLayer
from moorage.build.transfer.document import MEDIA_TYPE, Document, Travelling
from moorage.lib import offload
from moorage.registry.repository import Repository
from moorage.spec import mediatype
from moorage.spec.oci.descriptor import Descriptor, Manifest

_CHUNK: Final = 1 << 20
_encode = msgspec.json.Encoder().encode


def pack(blobs: Blobs, records: list[Travelling], open_layer: OpenLayer) -> Descriptor:
    """Put the layers and the document into *blobs*; return the manifest. Blocking."""
    layers: dict[str, Descriptor] = {}
    done: list[Travelling] = []
    for record in records:
        if record.diff_id is not None and record.diff_id not in layers:
            with open_layer(record.diff_id) as tar:
                layers[record.diff_id] = blobs.compress(tar, "gzip")
        blob = layers[record.diff_id] if record.diff_id is not None else None
        done.append(replace(record, blob=blob))
    manifest = Manifest(
        schema_version=2,
        media_type=mediatype.OCI_MANIFEST,
        config=blobs.put(_encode(Document(records=done)), MEDIA_TYPE),
        layers=list(layers.values()),
    )
    return blobs.put(_encode(manifest), mediatype.OCI_MANIFEST)


def write(file: BinaryIO, blobs: Blobs, manifest: Descriptor) -> None:
    """Write an OCI layout as a tar. Blocking."""
    layout.write(file, blobs, [manifest], [], docker=False)


async def push(repository: Repository, blobs: Blobs, top: Descriptor, tag: str) -> None:
    """Send all blobs to a registry, and name *top* at the end.

    Raises: what the registry's client raises.
    """
    manifests: list[tuple[str, bytes, str]] = []
    for descriptor, content in blobs.described():
        if mediatype.is_manifest(descriptor.media_type) or mediatype.is_index(
            descriptor.media_type
        ):
            if isinstance(content, bytes) and descriptor.digest != top.digest:
                manifests.append((descriptor.digest, content, descriptor.media_type))
        elif await repository.blob_size(descriptor.digest) is None:
            location = await repository.begin_upload()
            if location is not None:
                await repository.upload(
                    location, descriptor.digest, partial(_chunks, content), descriptor.size
                )
    for digest, content, media_type in manifests:
        await repository.put_manifest(digest, media_type, content)
    await repository.put_manifest(tag, top.media_type, blobs.read(top.digest))


async def _chunks(content: bytes | Path) -> AsyncIterator[bytes]:
    if isinstance(content, bytes):
        yield content
        return
    with content.open("rb") as file:
        while chunk := await offload.run("fs", file.read, _CHUNK):
            yield chunk
