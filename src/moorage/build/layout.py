"""An image, or several of one index, as an archive: OCI layout, readable by ``docker load`` too.

Written in two passes: blobs that must be compressed go to temporary files first, because a
manifest names their digest and a tar header their size. Blocking.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import BinaryIO, Final

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from moorage.spec import digest as digests
from moorage.spec import mediatype
from moorage.spec.digest import Digest
from moorage.spec.oci.descriptor import Descriptor, Manifest
from moorage.spec.oci.image import ImageConfig, RootFS
from moorage.spec.oci.index import (
    ATTESTATION_DIGEST,
    ATTESTATION_TYPE,
    CONTAINERD_IMAGE_NAME,
    REF_NAME,
    ImageLayout,
    Index,
)
from moorage.spec.platforms import Platform
from moorage.storage.archive import compression
from moorage.storage.archive.chunks import of_file
from moorage.storage.archive.entry import Entry
from moorage.storage.archive.header import format_entry

_BLOCK: Final = 512
END_BYTES: Final = 2 * _BLOCK  # zeros that end an archive
_IN_TOTO: Final = "application/vnd.in-toto+json"
_encode = msgspec.json.Encoder().encode

OpenLayer = Callable[[Digest], BinaryIO]  # the plain tar of a layer by its diffID


class Statement(Struct, frozen=True):
    """An attestation about an image."""

    predicate_type: str
    content: bytes


class ImageParts(Struct, frozen=True, kw_only=True):
    """What goes into the archive for one platform."""

    config: bytes
    diff_ids: tuple[Digest, ...]
    platform: Platform
    statements: tuple[Callable[[Digest], Statement], ...] = ()  # given the manifest's digest


class _DockerManifest(Struct, frozen=True, kw_only=True, rename="pascal"):
    config: str
    repo_tags: list[str] | None
    layers: list[str]


class Blobs:
    """Blobs by digest, in memory or in files of a directory."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._small: dict[Digest, bytes] = {}
        self._files: dict[Digest, Path] = {}
        self._descriptors: dict[Digest, Descriptor] = {}

    def put(self, content: bytes, media_type: str) -> Descriptor:
        """Add a small blob."""
        digest = digests.of(content)
        self._small[digest] = content
        return self._described(media_type, digest, len(content))

    def _described(self, media_type: str, digest: Digest, size: int) -> Descriptor:
        made = Descriptor(media_type=media_type, digest=digest, size=size)
        self._descriptors[digest] = made
        return made

    def described(self) -> Iterator[tuple[Descriptor, bytes | Path]]:
        """Yield every blob with its descriptor, in the order they were added."""
        for digest, descriptor in self._descriptors.items():
            small = self._small.get(digest)
            yield descriptor, self._files[digest] if small is None else small

    def read(self, digest: Digest) -> bytes:
        """Return a small blob."""
        return self._small[digest]

    def compress(self, tar: BinaryIO, kind: mediatype.Compression) -> Descriptor:
        """Add a layer."""
        path = self._directory / f"blob{len(self._descriptors)}"
        state = hashlib.sha256()
        chunks: Iterator[bytes] = of_file(tar)
        if kind == "gzip":
            chunks = compression.gzip(chunks)
        elif kind == "zstd":
            chunks = compression.zstd(chunks)
        size = 0
        with path.open("wb") as file:
            for chunk in chunks:
                state.update(chunk)
                size += file.write(chunk)
        digest = Digest(f"sha256:{state.hexdigest()}")
        self._files[digest] = path
        return self._described(mediatype.layer(kind), digest, size)

    def members(self) -> Iterator[tuple[str, bytes | Path]]:
        """Yield the name and content of every blob."""
        found: dict[Digest, bytes | Path] = {**self._small, **self._files}
        for digest, content in found.items():
            yield f"blobs/sha256/{digests.hex_of(digest)}", content


def add_image(
    blobs: Blobs, parts: ImageParts, open_layer: OpenLayer, kind: mediatype.Compression
) -> list[Descriptor]:
    """Add an image and its attestations; return the entries of the index."""
    layers = []
    for diff_id in parts.diff_ids:
        with open_layer(diff_id) as tar:
            layers.append(blobs.compress(tar, kind))
    manifest = Manifest(
        schema_version=2,
        media_type=mediatype.OCI_MANIFEST,
        config=blobs.put(parts.config, mediatype.OCI_CONFIG),
        layers=layers,
    )
    image = replace(blobs.put(_encode(manifest), mediatype.OCI_MANIFEST), platform=parts.platform)
    if not parts.statements:
        return [image]
    return [image, _attest(blobs, image, [make(image.digest) for make in parts.statements])]


def _attest(blobs: Blobs, image: Descriptor, statements: list[Statement]) -> Descriptor:
    """Add the manifest that carries the statements about *image*, in BuildKit's form."""
    layers = [
        replace(
            blobs.put(statement.content, _IN_TOTO),
            annotations={"in-toto.io/predicate-type": statement.predicate_type},
        )
        for statement in statements
    ]
    config = ImageConfig(
        architecture="unknown",
        os="unknown",
        rootfs=RootFS(diff_ids=[layer.digest for layer in layers]),
    )
    manifest = Manifest(
        schema_version=2,
        media_type=mediatype.OCI_MANIFEST,
        config=blobs.put(_encode(config), mediatype.OCI_CONFIG),
        layers=layers,
    )
    return replace(
        blobs.put(_encode(manifest), mediatype.OCI_MANIFEST),
        platform=Platform(architecture="unknown", os="unknown"),
        annotations={
            ATTESTATION_DIGEST: image.digest,
            ATTESTATION_TYPE: "attestation-manifest",
        },
    )


def write(
    file: BinaryIO, blobs: Blobs, entries: list[Descriptor], names: Iterable[str], *, docker: bool
) -> None:
    """Write the archive; *docker* adds the file that old versions of ``docker load`` want."""
    members: list[tuple[str, bytes | Path]] = [
        ("oci-layout", _encode(ImageLayout())),
        ("index.json", _top(blobs, entries, list(names))),
    ]
    if docker:
        members.append(("manifest.json", _docker_manifest(blobs, entries[0], list(names))))
    for name, content in [*members, *blobs.members()]:
        write_member(file, name, content)
    file.write(bytes(END_BYTES))


def _top(blobs: Blobs, entries: list[Descriptor], names: list[str]) -> bytes:
    """Return the layout's index: each name, or the entries themselves."""
    target = entries[0]
    if len(entries) > 1:
        index = Index(schema_version=2, media_type=mediatype.OCI_INDEX, manifests=entries)
        target = blobs.put(_encode(index), mediatype.OCI_INDEX)
    named = [
        replace(
            target,
            annotations={
                CONTAINERD_IMAGE_NAME: name,
                REF_NAME: name.rpartition(":")[2],
            },
        )
        for name in names
    ]
    return _encode(
        Index(schema_version=2, media_type=mediatype.OCI_INDEX, manifests=named or [target])
    )


def _docker_manifest(blobs: Blobs, image: Descriptor, names: list[str]) -> bytes:
    manifest = msgspec.json.decode(blobs.read(image.digest), type=Manifest)

    def path(digest: Digest) -> str:
        return f"blobs/sha256/{digests.hex_of(digest)}"

    return _encode(
        [
            _DockerManifest(
                config=path(manifest.config.digest),
                repo_tags=[name.removeprefix("docker.io/library/") for name in names] or None,
                layers=[path(layer.digest) for layer in manifest.layers],
            )
        ]
    )


def write_member(file: BinaryIO, name: str, content: bytes | Path) -> None:
    """Write one file of the archive; a path is used up."""
    size = len(content) if isinstance(content, bytes) else content.stat().st_size
    file.write(format_entry(Entry(name=name, kind="0", mode=0o644, size=size)))
    if isinstance(content, bytes):
        file.write(content)
    else:
        with content.open("rb") as source:
            file.writelines(of_file(source))
        os.unlink(content)
    file.write(bytes(-size % _BLOCK))
