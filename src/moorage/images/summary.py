"""One image as the list shows it, and the manifests of all its platforms."""

from __future__ import annotations

from collections.abc import Sequence

from msgspec import UNSET, UnsetType

from moorage.images import manifests
from moorage.images.image import Image
from moorage.images.operations import Parts
from moorage.lib.errors import DataLoss, InvalidParameter, NotFound
from moorage.spec import gojson
from moorage.spec.engine.image import (
    ImageManifestSummary,
    ImageManifestSummaryAttestationData,
    ImageManifestSummaryImageData,
    ImageManifestSummaryImageDataSize,
    ImageManifestSummarySize,
    ImageSummary,
    OCIDescriptor,
    OCIPlatform,
)
from moorage.spec.oci.descriptor import Descriptor, Manifest
from moorage.spec.oci.image import ImageConfig
from moorage.spec.oci.index import ATTESTATION_DIGEST, Index, is_attestation
from moorage.spec.platforms import Platform
from moorage.spec.reference import Reference


def of(
    image: Image,
    names: Sequence[Reference],
    *,
    shared: int = -1,
    containers: int = -1,
    manifests: list[ImageManifestSummary] | UnsetType = UNSET,
) -> ImageSummary:
    """Return the summary of *image* under *names*; -1 = not worked out."""
    return ImageSummary(
        id=image.id,
        parent_id=image.parent or "",
        repo_tags=[name.familiar for name in names if name.digest is None],
        repo_digests=[name.familiar for name in names if name.digest is not None],
        created=image.created_ns // 1_000_000_000,
        size=image.size,
        shared_size=shared,
        labels=image.labels or None,
        containers=containers,
        manifests=manifests,
        descriptor=descriptor(image.manifest),
    )


def descriptor(found: Descriptor) -> OCIDescriptor:
    """Return an OCI descriptor in the words of the API."""
    return OCIDescriptor(
        media_type=found.media_type,
        digest=found.digest,
        size=found.size,
        urls=found.urls,
        annotations=found.annotations,
        platform=platform(found.platform) if found.platform else None,
        artifact_type=found.artifact_type,
    )


def platform(found: Platform) -> OCIPlatform:
    """Return an OCI platform in the words of the API."""
    return OCIPlatform(
        architecture=found.architecture,
        os=found.os,
        os_version=found.os_version,
        os_features=found.os_features or None,
        variant=found.variant,
    )


def manifests_of(parts: Parts, image: Image) -> list[ImageManifestSummary]:
    """Return every manifest that the image's names stand for, here or not."""
    targets = {
        tag.target.digest: tag.target
        for name in parts.store.references(image.id)
        if (tag := parts.store.tag_of(name)) is not None
    } or {image.manifest.digest: image.manifest}
    found: dict[str, ImageManifestSummary] = {}
    for target in targets.values():
        for entry in _entries(parts, target):
            found.setdefault(entry.digest, _manifest(parts, entry))
    return list(found.values())


def _entries(parts: Parts, target: Descriptor) -> list[Descriptor]:
    try:
        document = manifests.read(parts.content, target)
    except (NotFound, DataLoss, InvalidParameter):
        return [target]
    return document.manifests if isinstance(document, Index) else [target]


def _manifest(parts: Parts, entry: Descriptor) -> ImageManifestSummary:
    if is_attestation(entry):
        subject = (entry.annotations or {}).get(ATTESTATION_DIGEST, "")
        return ImageManifestSummary(
            id=entry.digest,
            descriptor=descriptor(entry),
            available=parts.content.has(entry.digest),
            size=ImageManifestSummarySize(total=entry.size, content=entry.size),
            kind="attestation",
            attestation_data=ImageManifestSummaryAttestationData(for_=subject),
        )
    try:
        manifest = manifests.read(parts.content, entry)
    except (NotFound, DataLoss, InvalidParameter):
        manifest = None
    if not isinstance(manifest, Manifest):
        kind = "image" if entry.platform else "unknown"
        return ImageManifestSummary(
            id=entry.digest,
            descriptor=descriptor(entry),
            available=False,
            size=ImageManifestSummarySize(),
            kind=kind,
            image_data=_image_data(entry.platform, [], 0) if entry.platform else None,
        )
    return _available(parts, entry, manifest)


def _available(parts: Parts, entry: Descriptor, manifest: Manifest) -> ImageManifestSummary:
    blobs = [manifest.config, *manifest.layers]
    content = entry.size + sum(b.size for b in blobs if parts.content.has(b.digest))
    image = parts.store.find(manifest.config.digest)
    users = [use.container_id for use in parts.users.using(image.id)] if image else []
    unpacked = image.size if image else 0
    shown = entry.platform or _config_platform(parts, manifest)
    return ImageManifestSummary(
        id=entry.digest,
        descriptor=descriptor(entry),
        available=all(parts.content.has(b.digest) for b in blobs),
        size=ImageManifestSummarySize(total=content + unpacked, content=content),
        kind="image",
        image_data=_image_data(shown, users, unpacked),
    )


def _image_data(
    found: Platform | None, users: list[str], unpacked: int
) -> ImageManifestSummaryImageData:
    return ImageManifestSummaryImageData(
        platform=platform(found) if found else None,
        containers=users,
        size=ImageManifestSummaryImageDataSize(unpacked=unpacked),
    )


def _config_platform(parts: Parts, manifest: Manifest) -> Platform | None:
    try:
        return gojson.decode(parts.content.read(manifest.config.digest), ImageConfig).platform
    except (NotFound, DataLoss, InvalidParameter):
        return None
