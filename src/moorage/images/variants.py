"""The platforms of one name: which are here, one of them looked at, one unpacked when it is needed.

A name that stands for an index has one image that is unpacked and goes by the name. What came of
the other platforms is kept beside it as blobs, and becomes an image when a container asks for it.
"""

from __future__ import annotations

from collections.abc import Sequence

from msgspec import Struct

from moorage.images import manifests
from moorage.images.image import Image
from moorage.images.operations import Parts
from moorage.images.store import created_ns, decode_config
from moorage.lib.errors import DataLoss, InvalidParameter, NotFound
from moorage.lib.failpoint import failpoint
from moorage.spec import digest as digests
from moorage.spec import platforms
from moorage.spec.digest import Digest
from moorage.spec.oci.descriptor import Descriptor, Manifest
from moorage.spec.oci.index import is_attestation
from moorage.spec.platforms import Platform
from moorage.storage.content import ContentStore


class Variant(Struct, frozen=True, kw_only=True):
    """An image for one platform, of which at least the manifest is here."""

    platform: Platform
    descriptor: Descriptor
    manifest: Manifest


def of(content: ContentStore, target: Descriptor) -> list[Variant]:
    """Return the platforms of what a name stands for, in the order of its index."""
    return [
        Variant(platform=found, descriptor=descriptor, manifest=manifest)
        for descriptor, manifest in manifests.walk(content, target)
        if not is_attestation(descriptor)
        and (found := descriptor.platform or _platform(content, manifest)) is not None
    ]


def _platform(content: ContentStore, manifest: Manifest) -> Platform | None:
    try:
        return decode_config(content.read(manifest.config.digest)).platform
    except (NotFound, DataLoss, InvalidParameter):
        return None


def is_whole(content: ContentStore, variant: Variant) -> bool:
    """Whether all of it is here."""
    manifest = variant.manifest
    return all(content.has(blob.digest) for blob in (manifest.config, *manifest.layers))


def suiting(found: Sequence[Variant], wanted: Platform) -> Variant | None:
    """Return the variant that suits *wanted* best."""
    return platforms.best(wanted, [(variant.platform, variant) for variant in found])


def look(parts: Parts, ref: str, platform: Platform | None) -> Image:
    """Return an image to be looked at: one that is not unpacked shows no sizes of its layers.

    Raises: NotFound.
    """
    try:
        return parts.store.resolve(ref, platform=platform)
    except NotFound:
        variant = _packed(parts, ref, platform)
        if variant is None:
            raise
    config = decode_config(parts.content.read(variant.manifest.config.digest))
    return Image(
        id=Digest(variant.manifest.config.digest),
        config=config,
        manifest=variant.descriptor,
        layers=variant.manifest.layers,
        size=0,
        created_ns=created_ns(config),
        added_ns=0,
    )


def unpack(parts: Parts, ref: str, platform: Platform | None) -> Image:
    """Return an image that can run, unpacked now if only its blobs are here. Blocks.

    Raises: NotFound (no such name or platform), DataLoss, System.
    """
    try:
        return parts.store.resolve(ref, platform=platform)
    except NotFound:
        variant = _packed(parts, ref, platform)
        if variant is None:
            raise
    return unpack_variant(parts, variant)


def _packed(parts: Parts, ref: str, platform: Platform | None) -> Variant | None:
    tag = parts.store.tag_called(ref)
    if tag is None or platform is None:
        return None
    found = [
        variant
        for variant in of(parts.content, tag.target)
        if platforms.matches(platform, variant.platform) and is_whole(parts.content, variant)
    ]
    return found[0] if found else None


def unpack_variant(parts: Parts, variant: Variant) -> Image:
    """Make an image of a variant that is whole. Blocks. Raises: DataLoss, System."""
    content, manifest = parts.content, variant.manifest
    with parts.leases.acquire("unpack") as lease:
        lease.add_all([manifest.config.digest, *(blob.digest for blob in manifest.layers)])
        config = content.read(manifest.config.digest)
        diff_ids = decode_config(config).rootfs.diff_ids
        if len(diff_ids) != len(manifest.layers):
            raise DataLoss(
                f"image {manifest.config.digest}: its configuration describes {len(diff_ids)}"
                f" layers, its manifest {len(manifest.layers)}"
            )
        parent: Digest | None = None
        for blob, diff_id in zip(manifest.layers, diff_ids, strict=True):
            chain_id = digests.chain_id(parent, diff_id)
            lease.add(chain_id)
            with content.open(blob.digest) as tar:
                parts.layers.apply(tar, parent=parent, diff_id=diff_id)
            parent = chain_id
            failpoint("images.unpack.after_layer")
        return parts.store.add(config=config, layers=manifest.layers, manifest=variant.descriptor)
