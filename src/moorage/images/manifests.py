"""Manifests and indexes in the content store: read, checked, and made where an image has none."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

import msgspec
from msgspec import Struct

from moorage.lib.errors import DataLoss, InvalidParameter, NotFound
from moorage.spec import digest as digests
from moorage.spec import gojson, mediatype
from moorage.spec.digest import Digest
from moorage.spec.oci.descriptor import Descriptor, Manifest
from moorage.spec.oci.index import Index
from moorage.storage.content import ContentStore

LAYERS_MAX: Final = 4096
INDEX_MAX: Final = 4096  # entries
_DEPTH_MAX: Final = 3  # of indexes inside indexes
_ABSENT: Final = msgspec.Raw(b"")  # a union with None would take nothing but null


class _Shape(Struct, frozen=True, kw_only=True, rename="camel"):
    """What tells a manifest from an index: a document must not be both (CVE-2021-41190)."""

    schema_version: int = 0
    media_type: str = ""
    config: msgspec.Raw = _ABSENT
    layers: msgspec.Raw = _ABSENT
    manifests: msgspec.Raw = _ABSENT
    fs_layers: msgspec.Raw = _ABSENT

    def has(self, name: str) -> bool:
        """Whether the document says something about *name*."""
        return bytes(getattr(self, name)) not in {b"", b"null"}


def decode(data: bytes, media_type: str = "") -> Manifest | Index:
    """Decode a manifest or index; *media_type* is what its sender called it.

    Raises: InvalidParameter: neither, both, another type than declared, a bad digest or size.
    """
    try:
        shape = msgspec.json.decode(data, type=_Shape)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise InvalidParameter(f"invalid manifest: {error}") from error
    if shape.schema_version == 1 or shape.has("fs_layers"):
        raise InvalidParameter(
            "invalid manifest: Docker Image Format v1 and manifest schema 1 are not supported",
            hint="push the image again with a newer client",
        )
    if shape.has("manifests") and (shape.has("config") or shape.has("layers")):
        raise InvalidParameter("invalid manifest: it is an image and an index at the same time")
    declared = shape.media_type or media_type
    is_index = shape.has("manifests")
    if declared and is_index != mediatype.is_index(declared) and _is_known(declared):
        raise InvalidParameter(f"invalid manifest: it is no {declared}")
    if media_type and shape.media_type and media_type != shape.media_type:
        raise InvalidParameter(f"invalid manifest: sent as {media_type}, but is {shape.media_type}")
    if is_index:
        index = gojson.decode(data, Index)
        _check(index.manifests, INDEX_MAX)
        return index
    if not shape.has("config"):
        raise InvalidParameter("invalid manifest: it is neither an image nor an index")
    manifest = gojson.decode(data, Manifest)
    _check([manifest.config, *manifest.layers], LAYERS_MAX)
    return manifest


def _is_known(media_type: str) -> bool:
    return mediatype.is_index(media_type) or mediatype.is_manifest(media_type)


def _check(descriptors: Sequence[Descriptor], most: int) -> None:
    if len(descriptors) > most + 1:
        raise InvalidParameter(f"invalid manifest: {len(descriptors)} entries, at most {most}")
    for descriptor in descriptors:
        digests.parse(descriptor.digest)
        if descriptor.size < 0:
            raise InvalidParameter(f"invalid manifest: {descriptor.digest} has a negative size")


def read(content: ContentStore, descriptor: Descriptor) -> Manifest | Index:
    """Return a manifest or index of the store, verified. Raises: NotFound, DataLoss."""
    return decode(content.read(descriptor.digest), descriptor.media_type)


def synthesize(content: ContentStore, config: bytes, layers: Sequence[Descriptor]) -> Descriptor:
    """Store an OCI manifest for an image that came without one."""
    manifest = Manifest(
        schema_version=2,
        media_type=mediatype.OCI_MANIFEST,
        config=Descriptor(
            media_type=mediatype.OCI_CONFIG, digest=digests.of(config), size=len(config)
        ),
        layers=list(layers),
    )
    return content.put(gojson.encode(manifest), mediatype.OCI_MANIFEST)


def walk(content: ContentStore, target: Descriptor) -> Iterator[tuple[Descriptor, Manifest]]:
    """Return the manifests that *target* is or lists, as far as the store has them."""
    yield from _walk(content, target, 0)


def _walk(
    content: ContentStore, target: Descriptor, depth: int
) -> Iterator[tuple[Descriptor, Manifest]]:
    try:
        document = read(content, target)
    except (NotFound, DataLoss):
        return
    if isinstance(document, Manifest):
        yield target, document
        return
    if depth < _DEPTH_MAX:
        for descriptor in document.manifests:
            yield from _walk(content, descriptor, depth + 1)


def listed(content: ContentStore, target: Descriptor) -> frozenset[Digest]:
    """Return the digests of all manifests that an index lists, there or not."""
    found: set[Digest] = set()
    stack = [(target, 0)]
    while stack:
        index, depth = stack.pop()
        try:
            document = read(content, index)
        except (NotFound, DataLoss, InvalidParameter):
            continue
        if isinstance(document, Index) and depth <= _DEPTH_MAX:
            found.update(entry.digest for entry in document.manifests)
            stack += [
                (e, depth + 1) for e in document.manifests if mediatype.is_index(e.media_type)
            ]
    return frozenset(found)


def closure(content: ContentStore, target: Descriptor) -> set[Digest]:
    """Return the digests of *target* and of all it refers to, there or not."""
    found: set[Digest] = set()
    stack = [(target, 0)]
    while stack:
        descriptor, depth = stack.pop()
        if descriptor.digest in found:
            continue
        found.add(descriptor.digest)
        try:
            document = read(content, descriptor)
        except (NotFound, DataLoss, InvalidParameter):
            continue
        if isinstance(document, Manifest):
            found.update(layer.digest for layer in document.layers)
            found.add(document.config.digest)
        elif depth < _DEPTH_MAX:
            stack += [(child, depth + 1) for child in document.manifests]
    return found
