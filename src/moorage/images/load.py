"""``load``: images out of an archive, whoever wrote it.

docker 20.10 and before write a docker-archive (``manifest.json``, a directory for each layer);
later ones both it and an OCI layout; podman, buildah, skopeo and kaniko either. The OCI side is
preferred, being what a registry has, byte for byte; names come from both.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import BinaryIO, Final

import msgspec
from msgspec import Struct, structs

from moorage.images import manifests
from moorage.images.archivein import Archive
from moorage.images.operations import Parts
from moorage.images.progress import Watch
from moorage.images.store import decode_config
from moorage.lib.errors import DataLoss, InvalidParameter, NotFound
from moorage.lib.failpoint import failpoint
from moorage.spec import digest as digests
from moorage.spec import gojson, mediatype, platforms
from moorage.spec import reference as references
from moorage.spec.digest import Digest
from moorage.spec.oci.descriptor import Descriptor, Manifest
from moorage.spec.oci.index import (
    CONTAINERD_IMAGE_NAME,
    INDEX_FILE,
    REF_NAME,
    Index,
    is_attestation,
)
from moorage.spec.platforms import Platform
from moorage.spec.reference import Reference
from moorage.storage.leases import Lease

DOCKER_MANIFEST_FILE: Final = "manifest.json"

Tell = Callable[[str], None]


class DockerManifestItem(Struct, frozen=True, kw_only=True, rename="pascal"):
    """One image in the ``manifest.json`` of a docker-archive."""

    config: str = ""
    repo_tags: list[str] | None = None
    layers: list[str] | None = None


class _Found(Struct, frozen=True, kw_only=True):
    """An image whose layers are unpacked, not yet in the store, and its names in the archive."""

    config: bytes
    layers: list[Descriptor]
    manifest: Descriptor | None = None  # none came with it
    target: Descriptor | None = None  # what its names stand for, if not its manifest
    names: list[Reference] = []

    @property
    def image_id(self) -> Digest:
        """The id it will have."""
        return digests.of(self.config)


def load(
    parts: Parts,
    file: BinaryIO,
    tell: Tell,
    *,
    wanted: list[Platform] | None = None,
    watch: Watch | None = None,
) -> None:
    """Load every image of the archive *file*; *tell* gets a line for each. Blocks.

    *watch* is told how far each layer is.
    Events: ``load`` for each image.
    Raises: InvalidParameter (no images, broken or hostile), DataLoss, System.
    """
    with (
        parts.leases.acquire("load") as lease,
        Archive(parts.layers, parts.content, lease, watch) as archive,
    ):
        try:
            archive.read(file)
            failpoint("images.load.after_read")
            found = _Loader(parts, archive, lease, wanted or []).run()
            failpoint("images.load.before_record")
            lines = _record(parts, found)
            failpoint("images.load.after_record")
        finally:
            archive.__exit__()
            lease.release()
            parts.collect()
    for line in lines:
        tell(line)
    for item in found:
        parts.announce("load", item.image_id, item.image_id)


def _record(parts: Parts, found: list[_Found]) -> list[str]:
    """Put all images with their names into the store, or none; return what Docker says to it."""
    lines: list[str] = []
    with parts.store.transaction():
        for item in found:
            image = parts.store.add(config=item.config, layers=item.layers, manifest=item.manifest)
            for name in item.names:
                before = parts.store.tag(image.id, name, target=item.target)
                failpoint("images.load.after_tag")
                if before is not None:
                    lines.append(
                        f"The image {name.familiar} already exists, renaming the old one with ID"
                        f" {before.id} to empty string\n"
                    )
                lines.append(f"Loaded image: {name.familiar}\n")
            if not item.names:
                lines.append(f"Loaded image ID: {image.id}\n")
    return lines


def _not_found(wanted: Platform) -> NotFound:
    return NotFound(f"requested platform {wanted} not found in the archive")


class _Loader:
    """Makes images of what an archive holds."""

    def __init__(
        self, parts: Parts, archive: Archive, lease: Lease, wanted: list[Platform]
    ) -> None:
        self._parts = parts
        self._archive = archive
        self._lease = lease
        self._wanted = wanted

    def run(self) -> list[_Found]:
        """Return the images, OCI's side first."""
        docker = self._archive.document(DOCKER_MANIFEST_FILE)
        index = self._archive.document(INDEX_FILE)
        if docker is None and index is None:
            raise InvalidParameter(
                "invalid archive: it holds neither a manifest.json nor an index.json",
                hint="a root file system is taken by `import`, the format before Docker 1.10"
                " by no one any more",
            )
        items = _decode_items(docker) if docker is not None else []
        names = self._docker_names(items)
        found = self._from_index(index, names) if index is not None else []
        have = {item.image_id for item in found}
        found += [
            self._from_item(item)
            for item in items
            if digests.of(self._document(item.config)) not in have
        ]
        if not found:
            raise InvalidParameter("invalid archive: no image in it is complete")
        return found

    # --- docker-archive -------------------------------------------------------------------------

    def _docker_names(self, items: list[DockerManifestItem]) -> dict[Digest, list[Reference]]:
        names: dict[Digest, list[Reference]] = {}
        for item in items:
            config = digests.of(self._document(item.config))
            names.setdefault(config, []).extend(_parse_tags(item.repo_tags or []))
        return names

    def _document(self, name: str) -> bytes:
        data = self._archive.document(name)
        if data is None:
            raise InvalidParameter(f"invalid archive: {name!r} is missing")
        return data

    def _from_item(self, item: DockerManifestItem) -> _Found:
        config = self._document(item.config)
        decoded = decode_config(config)
        for wanted in self._wanted:
            if platforms.best(wanted, [(decoded.platform, item)]) is None:
                raise _not_found(wanted)
        diff_ids = decoded.rootfs.diff_ids
        paths = item.layers or []
        if len(paths) != len(diff_ids):
            raise InvalidParameter(
                f"invalid manifest, layers length mismatch: expected {len(diff_ids)},"
                f" got {len(paths)}"
            )
        blobs: list[Descriptor] = []
        parent: Digest | None = None
        for path, diff_id in zip(paths, diff_ids, strict=True):
            layer = self._archive.layer(path)
            if layer is None:
                raise InvalidParameter(f"invalid archive: layer {path!r} is missing")
            self._lease.add(digests.chain_id(parent, diff_id))
            parent = layer.place(parent, diff_id).chain_id
            blobs.append(_typed(layer.blob, diff_id))
            failpoint("images.load.after_layer")
        self._lease.add(digests.of(config))
        return _Found(config=config, layers=blobs, names=_parse_tags(item.repo_tags or []))

    # --- OCI layout -----------------------------------------------------------------------------

    def _from_index(self, data: bytes, names: dict[Digest, list[Reference]]) -> list[_Found]:
        index = manifests.decode(data)
        if not isinstance(index, Index):
            raise InvalidParameter("invalid archive: its index.json is no index")
        found: dict[tuple[Digest, Digest], _Found] = {}
        for entry in index.manifests:
            item = self._from_target(entry)
            if item is None:
                continue
            key = (item.image_id, entry.digest)
            before = found[key].names if key in found else []
            more = names.pop(item.image_id, []) if not before else []
            merged = list(dict.fromkeys([*before, *item.names, *more]))
            found[key] = structs.replace(item, names=merged)
        return list(found.values())

    def _from_target(self, entry: Descriptor) -> _Found | None:
        """Take what one line of index.json stands for: an image, or an index of several."""
        target = structs.replace(entry, annotations=None, platform=None)
        whole = [found for found in self._walk(target, 0) if self._is_whole(found[1])]
        if not whole:
            return None
        offers = self._offers(whole)
        chosen = platforms.best(self._parts.store.host, offers) or offers[0][1]
        kept = {descriptor.digest for _, descriptor in offers}
        found: _Found | None = None
        for descriptor, manifest in whole:
            if descriptor.digest == chosen.digest:
                found = structs.replace(
                    self._unpack(descriptor, manifest),
                    target=target,
                    names=_annotated_names(entry),
                )
            elif descriptor.digest in kept:
                self._keep(manifest)
        return found

    def _walk(self, target: Descriptor, depth: int) -> list[tuple[Descriptor, Manifest]]:
        """Store the documents below *target*, verified; return the manifests of images."""
        data = self._archive.blob(target.digest)
        if data is None or is_attestation(target) or depth > 2:
            self._store_attestation(target, data)
            return []
        document = manifests.decode(data, target.media_type)
        self._store(target, data)
        if isinstance(document, Manifest):
            return [(target, document)]
        found: list[tuple[Descriptor, Manifest]] = []
        for entry in document.manifests:
            found += self._walk(entry, depth + 1)
        return found

    def _store_attestation(self, target: Descriptor, data: bytes | None) -> None:
        """Keep a statement about an image with what it holds, as far as it is here."""
        if data is None or not is_attestation(target):
            return
        self._store(target, data)
        document = manifests.decode(data, target.media_type)
        if isinstance(document, Manifest):
            for blob in (document.config, *document.layers):
                content = self._archive.blob(blob.digest)
                if content is not None:
                    self._store(blob, content)

    def _store(self, descriptor: Descriptor, data: bytes) -> None:
        if digests.of(data) != descriptor.digest or len(data) != descriptor.size:
            raise DataLoss(f"invalid archive: the blob {descriptor.digest} has other content")
        self._lease.add(descriptor.digest)
        self._parts.content.put(data, descriptor.media_type)

    def _is_whole(self, manifest: Manifest) -> bool:
        return self._archive.blob(manifest.config.digest) is not None and all(
            self._archive.blob_layer(layer.digest) is not None
            or self._parts.content.has(layer.digest)
            for layer in manifest.layers
        )

    def _offers(
        self, whole: list[tuple[Descriptor, Manifest]]
    ) -> list[tuple[Platform, Descriptor]]:
        """Return the platforms to be taken. Raises: NotFound, if one asked for is not there."""
        offers: list[tuple[Platform, Descriptor]] = []
        for descriptor, manifest in whole:
            config = decode_config(self._archive.blob(manifest.config.digest) or b"{}")
            offers.append((descriptor.platform or config.platform, descriptor))
        if not self._wanted:
            return offers
        found: list[tuple[Platform, Descriptor]] = []
        for wanted in self._wanted:
            chosen = platforms.best(wanted, offers)
            if chosen is None:
                raise _not_found(wanted)
            found.append((wanted, chosen))
        return found

    def _unpack(self, descriptor: Descriptor, manifest: Manifest) -> _Found:
        config = self._archive.blob(manifest.config.digest) or b""
        self._store(manifest.config, config)
        diff_ids = decode_config(config).rootfs.diff_ids
        if len(manifest.layers) != len(diff_ids):
            raise InvalidParameter(
                f"invalid manifest, layers length mismatch: expected {len(diff_ids)},"
                f" got {len(manifest.layers)}"
            )
        parent: Digest | None = None
        for blob, diff_id in zip(manifest.layers, diff_ids, strict=True):
            chain_id = digests.chain_id(parent, diff_id)
            self._lease.add(chain_id)
            self._lease.add(blob.digest)
            layer = self._archive.blob_layer(blob.digest)
            if layer is not None:
                _require_blob(layer.blob, blob)
                layer.place(parent, diff_id)
            else:
                with self._parts.content.open(blob.digest) as tar:
                    self._parts.layers.apply(tar, parent=parent, diff_id=diff_id)
            parent = chain_id
            failpoint("images.load.after_layer")
        return _Found(
            config=config,
            layers=manifest.layers,
            manifest=structs.replace(descriptor, annotations=None),
        )

    def _keep(self, manifest: Manifest) -> None:
        """Keep an image for another platform as blobs."""
        self._store(manifest.config, self._archive.blob(manifest.config.digest) or b"")
        for blob in manifest.layers:
            layer = self._archive.blob_layer(blob.digest)
            if layer is not None:
                _require_blob(layer.blob, blob)
                layer.keep_archive(self._lease)


def _require_blob(have: Descriptor, wanted: Descriptor) -> None:
    if have.digest != wanted.digest or have.size != wanted.size:
        raise DataLoss(f"invalid archive: the blob {wanted.digest} has other content")


def _typed(blob: Descriptor, diff_id: Digest) -> Descriptor:
    """Give a blob that we had already its media type."""
    if blob.media_type:
        return blob
    kind = mediatype.OCI_LAYER if blob.digest == diff_id else mediatype.OCI_LAYER_GZIP
    return structs.replace(blob, media_type=kind)


def _decode_items(data: bytes) -> list[DockerManifestItem]:
    try:
        raw: gojson.Json = msgspec.json.decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise InvalidParameter(f"invalid archive: manifest.json: {error}") from error
    if not isinstance(raw, list) or not all(isinstance(item, dict) for item in raw):
        raise InvalidParameter("invalid archive: manifest.json is no list of images")
    return [gojson.convert(item, DockerManifestItem) for item in raw]


def _parse_tags(tags: list[str]) -> list[Reference]:
    """Parse the names in an archive; whoever wrote it must not make an id or digest of them."""
    names = []
    for tag in tags:
        name = references.parse_normalized(tag)
        if name.tag is None or name.digest is not None:
            raise InvalidParameter(f"invalid tag {tag!r}")
        names.append(name)
    return names


def _annotated_names(entry: Descriptor) -> list[Reference]:
    """Return the names by which an OCI layout calls an image, where they are whole."""
    annotations = entry.annotations or {}
    full = annotations.get(CONTAINERD_IMAGE_NAME)
    if full is not None:
        return [references.parse_with_default_tag(full)]
    short = annotations.get(REF_NAME, "")
    if ":" in short or "/" in short:
        try:
            return [references.parse_with_default_tag(short)]
        except InvalidParameter:
            return []
    return []
