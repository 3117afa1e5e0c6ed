"""Reading a cache of another machine: its records now, a layer when a step wants it."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final

import msgspec

from moorage.build.transfer.document import MEDIA_TYPE, Travelling, from_config, parse
from moorage.kernel.openat2 import openat2
from moorage.lib import ids, offload
from moorage.lib.errors import InvalidParameter, NotFound
from moorage.registry.repository import Repository
from moorage.spec import digest as digests
from moorage.spec import mediatype
from moorage.spec.digest import Digest
from moorage.spec.oci.descriptor import Descriptor, Manifest
from moorage.spec.oci.image import ImageConfig
from moorage.spec.oci.index import Index, is_attestation
from moorage.spec.platforms import Platform, best

_DOCUMENT_LIMIT: Final = 64 << 20
Fetch = Callable[[Descriptor], Awaitable[Path]]


class Incoming:
    """All caches that one build may use."""

    def __init__(self, scratch: Path) -> None:
        self._scratch = scratch
        self._by_key: dict[str, tuple[Travelling, Fetch]] = {}

    def find(self, keys: Sequence[str]) -> tuple[Travelling, Fetch] | None:
        """Return the record of the first key that is known, and how to get its layer."""
        return next((self._by_key[key] for key in keys if key in self._by_key), None)

    def _add(self, records: Sequence[Travelling], fetch: Fetch) -> None:
        for record in records:
            self._by_key.update(dict.fromkeys(record.keys, (record, fetch)))

    def add_local_image(self, config: bytes) -> None:
        """Take the records of an image whose layers are here."""
        self._add(from_config(config), _is_here)

    def add_directory(self, root: Path) -> None:
        """Take a cache written by ``type=local``. Blocking. Raises: InvalidParameter, NotFound."""
        index = msgspec.json.decode(_read(root, "index.json"), type=Index)
        manifest = _manifest(_read(root, _blob_path(index.manifests[0].digest)))
        document = parse(_read(root, _blob_path(manifest.config.digest)))

        async def fetch(blob: Descriptor) -> Path:
            path = _blob_path(blob.digest)
            await offload.run("fs", _read, root, path, 0)  # inside the directory, and there
            return root / path

        self._add(document.records, fetch)

    async def add_repository(self, repository: Repository, tag: str, platform: Platform) -> None:
        """Take the cache, or the image with a cache inside, of a registry.

        Raises: what the registry's client raises; InvalidParameter.
        """
        fetched = await repository.manifest(tag)
        if mediatype.is_index(fetched.descriptor.media_type):
            entries = msgspec.json.decode(fetched.data, type=Index).manifests
            offers = [(e.platform or platform, e) for e in entries if not is_attestation(e)]
            chosen = best(platform, offers)
            if chosen is None:
                raise NotFound(f"no cache for {platform} in {tag}")
            fetched = await repository.manifest(chosen.digest)
        manifest = _manifest(fetched.data)
        config = await _small_blob(repository, manifest.config.digest)

        async def fetch(blob: Descriptor) -> Path:
            return await self._download(repository, blob)

        if manifest.config.media_type == MEDIA_TYPE:
            self._add(parse(config).records, fetch)
        else:
            self._add(_with_blobs(config, manifest), fetch)

    async def _download(self, repository: Repository, blob: Descriptor) -> Path:
        """Fetch a blob to a file; its digest is checked when it is unpacked."""
        path = self._scratch / f"cache-{ids.token()}"
        async with repository.blob(blob.digest) as (_, response):
            with path.open("xb") as file:
                while chunk := await response.read_some():
                    await offload.run("fs", file.write, chunk)
        return path


@asynccontextmanager
async def fetched(fetch: Fetch, blob: Descriptor, scratch: Path) -> AsyncIterator[Path]:
    """Lend the file of a layer; a download is removed afterwards."""
    path = await fetch(blob)
    try:
        yield path
    finally:
        if path.parent == scratch:
            path.unlink(missing_ok=True)


async def _is_here(_: Descriptor) -> Path:
    raise NotFound("this layer should be in the store")


def _with_blobs(config: bytes, manifest: Manifest) -> list[Travelling]:
    """Give the records of an inline cache the blobs of the image they are in."""
    document = msgspec.json.decode(config, type=ImageConfig)
    blobs = dict(zip(document.rootfs.diff_ids, manifest.layers, strict=False))
    return [
        msgspec.structs.replace(record, blob=blobs.get(record.diff_id))
        if record.diff_id is not None
        else record
        for record in from_config(config)
    ]


def _manifest(data: bytes) -> Manifest:
    try:
        return msgspec.json.decode(data, type=Manifest)
    except msgspec.MsgspecError as error:
        raise InvalidParameter(f"this is no build cache: {error}") from error


async def _small_blob(repository: Repository, digest: Digest) -> bytes:
    async with repository.blob(digest) as (_, response):
        data = await response.read(_DOCUMENT_LIMIT)
    if digests.of(data) != digest:
        raise InvalidParameter(f"the registry gave something else for {digest}")
    return data


def _blob_path(digest: Digest) -> str:
    return f"blobs/sha256/{digests.hex_of(digests.parse(digest))}"


def _read(root: Path, path: str, limit: int = _DOCUMENT_LIMIT) -> bytes:
    """Read a file of a directory that a client gave; links do not lead out of it."""
    root_fd = os.open(root, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        fd = openat2(root_fd, path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOFOLLOW)
    except OSError as error:
        raise NotFound(f"{path} is missing: this is no build cache") from error
    finally:
        os.close(root_fd)
    with os.fdopen(fd, "rb") as file:
        return file.read(limit)
