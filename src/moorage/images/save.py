"""``save``: one archive that is a docker-archive and an OCI layout at once.

The tables come first, so that a reader who streams knows what will follow. Blobs are written as
they were pulled, byte for byte; a name that stands for an index takes all its platforms along.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import BinaryIO

from msgspec import Struct, structs

from moorage.images import manifests, variants
from moorage.images.image import Image
from moorage.images.load import DOCKER_MANIFEST_FILE, DockerManifestItem
from moorage.images.operations import Parts
from moorage.lib.errors import InvalidParameter, NotFound
from moorage.spec import digest as digests
from moorage.spec import gojson, mediatype
from moorage.spec import reference as references
from moorage.spec.digest import Digest
from moorage.spec.oci.descriptor import Descriptor
from moorage.spec.oci.index import (
    CONTAINERD_IMAGE_NAME,
    INDEX_FILE,
    LAYOUT_FILE,
    REF_NAME,
    ImageLayout,
    Index,
)
from moorage.spec.platforms import Platform
from moorage.spec.reference import Reference
from moorage.storage.archive.entry import DIRECTORY, Entry
from moorage.storage.archive.header import BLOCK, ZEROS, format_entry
from moorage.storage.content import CHUNK
from moorage.storage.leases import Lease


class Wanted(Struct, frozen=True, kw_only=True):
    """An image to be saved, and the name it is to have in the archive."""

    image: Image
    name: Reference | None
    target: Descriptor
    only: list[Descriptor] | None = None  # of an index: manifests to take; None = all


def select(parts: Parts, names: Sequence[str], chosen: Sequence[Platform] = ()) -> list[Wanted]:
    """Look up what is to be saved: a name, a repository with all its tags, or an id.

    Raises: NotFound, InvalidParameter.
    """
    if not names:
        raise InvalidParameter("no image names were given")
    found: list[Wanted] = []
    for name in names:
        found += _of_name(parts, name)
    if chosen:
        found = [_for_platform(parts, wanted, chosen) for wanted in found]
    unique = {(str(wanted.name), wanted.target.digest): wanted for wanted in found}
    return list(unique.values())


def _of_name(parts: Parts, name: str) -> list[Wanted]:
    if not references.is_image_id(name):
        try:
            reference = references.parse_normalized(name)
        except InvalidParameter:
            reference = None
        if reference is not None and reference.is_name_only:
            tags = [
                tag for tag in parts.store.tags() if tag.reference.startswith(f"{reference.name}:")
            ]
            if tags:
                return [_wanted(parts, references.parse_normalized(t.reference)) for t in tags]
        elif reference is not None and reference.digest is None:
            if parts.store.tag_of(reference) is None:
                raise NotFound(f"No such image: {reference.familiar}")
            return [_wanted(parts, reference)]
    image = parts.store.resolve(name)
    return [Wanted(image=image, name=None, target=image.manifest)]


def _wanted(parts: Parts, reference: Reference) -> Wanted:
    image = parts.store.resolve(str(reference))
    tag = parts.store.tag_of(reference)
    return Wanted(image=image, name=reference, target=tag.target if tag else image.manifest)


def _for_platform(parts: Parts, wanted: Wanted, chosen: Sequence[Platform]) -> Wanted:
    """Take the platforms *chosen*: one by its own manifest, several by the index they are of."""
    offers = [
        variant
        for variant in variants.of(parts.content, wanted.target)
        if variants.is_whole(parts.content, variant)
    ]
    found: list[Descriptor] = []
    for platform in chosen:
        variant = variants.suiting(offers, platform)
        if variant is None:
            raise NotFound(
                f"image with reference {wanted.name or wanted.image.id} was found but does not"
                f" provide the specified platform ({platform})"
            )
        if variant.descriptor not in found:
            found.append(variant.descriptor)
    if len(found) == 1:
        return structs.replace(wanted, target=found[0])
    return structs.replace(wanted, only=found)


def save(parts: Parts, wanted: Sequence[Wanted], file: BinaryIO) -> None:
    """Write the archive. Events: ``save`` for each image. Blocks.

    Raises: DataLoss (a damaged layer: the archive ends broken), OSError.
    """
    with parts.leases.acquire("save") as lease:
        blobs = _blobs(parts, wanted, lease)
        writer = _Writer(file)
        writer.file(LAYOUT_FILE, gojson.encode(ImageLayout()))
        writer.file(INDEX_FILE, gojson.encode(_index(wanted)))
        writer.file(DOCKER_MANIFEST_FILE, gojson.encode(_docker_manifest(parts, wanted)))
        writer.directory("blobs")
        writer.directory("blobs/sha256")
        for digest in sorted(blobs):
            with parts.content.open(digest) as blob:
                writer.copy(_path(digest), blob, parts.content.size(digest))
        writer.end()
    for item in wanted:
        parts.announce("save", item.image.id, item.image.id)


def _blobs(parts: Parts, wanted: Sequence[Wanted], lease: Lease) -> set[Digest]:
    """Return every blob that goes into the archive, and keep it meanwhile."""
    found: set[Digest] = set()
    for item in wanted:
        named = _named(parts, item)
        if item.image.id in named:  # not another platform's
            named |= {item.image.manifest.digest, *(layer.digest for layer in item.image.layers)}
        for digest in named:
            lease.add(digest)
            if parts.content.has(digest):
                found.add(digest)
        for chain_id in item.image.chain:
            lease.add(chain_id)
    return found


def _named(parts: Parts, item: Wanted) -> set[Digest]:
    """Return the digests of what is to be saved, there or not."""
    if item.only is None:
        return manifests.closure(parts.content, item.target)
    found = {item.target.digest}
    for descriptor in item.only:
        found |= manifests.closure(parts.content, descriptor)
    return found


def _index(wanted: Sequence[Wanted]) -> Index:
    entries = []
    for item in wanted:
        annotations = None
        if item.name is not None:
            annotations = {CONTAINERD_IMAGE_NAME: str(item.name), REF_NAME: item.name.tag or ""}
        entries.append(structs.replace(item.target, annotations=annotations))
    return Index(schema_version=2, media_type=mediatype.OCI_INDEX, manifests=entries)


def _docker_manifest(parts: Parts, wanted: Sequence[Wanted]) -> list[DockerManifestItem]:
    """Return a line for each image; the names of one image share a line, as docker writes it."""
    names: dict[Digest, list[str]] = {}
    images: dict[Digest, Image] = {}
    for item in wanted:
        if item.image.id not in _named(parts, item):
            continue  # another platform was asked for: docker-archive readers see the OCI side
        images[item.image.id] = item.image
        shown = names.setdefault(item.image.id, [])
        if item.name is not None:
            shown.append(item.name.familiar)
    return [
        DockerManifestItem(
            config=_path(image.id),
            repo_tags=names[image.id] or None,
            layers=[_path(layer.digest) for layer in image.layers],
        )
        for image in images.values()
    ]


def _path(digest: Digest) -> str:
    return f"blobs/{digests.algorithm_of(digest)}/{digests.hex_of(digest)}"


class _Writer:
    """Members of an archive, with no times and owners: the same images give the same bytes."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file

    def directory(self, name: str) -> None:
        self._file.write(format_entry(Entry(name=f"{name}/", kind=DIRECTORY, mode=0o755)))

    def file(self, name: str, data: bytes) -> None:
        self._head(name, len(data))
        self._file.write(data + bytes(-len(data) % BLOCK))

    def copy(self, name: str, source: BinaryIO, size: int) -> None:
        self._head(name, size)
        left = size
        while left and (piece := source.read(min(left, CHUNK))):
            self._file.write(piece)
            left -= len(piece)
        while source.read(CHUNK):  # a layer written anew is verified at its very end
            continue
        self._file.write(bytes(left) + bytes(-size % BLOCK))

    def end(self) -> None:
        self._file.write(ZEROS * 2)

    def _head(self, name: str, size: int) -> None:
        self._file.write(format_entry(Entry(name=name, kind="0", mode=0o644, size=size)))
