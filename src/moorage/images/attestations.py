"""Statements about an image (provenance, bill of materials) that came with it in its index."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from typing import Final

import msgspec
from msgspec import UNSET, Struct, UnsetType

from moorage.images import manifests, summary, variants
from moorage.images.operations import Parts
from moorage.lib.errors import DataLoss, InvalidParameter, NotFound
from moorage.spec.engine.image import OCIDescriptor
from moorage.spec.oci.descriptor import Descriptor, Manifest
from moorage.spec.oci.index import ATTESTATION_DIGEST, Index, is_attestation
from moorage.spec.platforms import Platform

_IN_TOTO: Final = "application/vnd.in-toto+json"
_PREDICATE_TYPE: Final = "in-toto.io/predicate-type"


class AttestationStatement(Struct, frozen=True, kw_only=True, rename="pascal"):
    """The document's ``AttestationStatement``."""

    descriptor: OCIDescriptor
    predicate_type: str
    statement: msgspec.Raw | UnsetType = UNSET


def attestations(
    parts: Parts, ref: str, platform: Platform | None, types: Collection[str], *, statement: bool
) -> list[AttestationStatement]:
    """Return the statements about one platform of an image, of *types* if any are given.

    Raises: NotFound (image, platform, or with *statement* a body that is not here).
    """
    image = parts.store.resolve(ref)
    tag = parts.store.tag_called(ref)
    target = tag.target if tag is not None else image.manifest
    subject = variants.suiting(variants.of(parts.content, target), platform or parts.store.host)
    if subject is None:
        raise NotFound(
            f"image with reference {ref} was found but does not provide the specified platform"
            f" ({platform or parts.store.host})"
        )
    return [
        AttestationStatement(
            descriptor=summary.descriptor(layer),
            predicate_type=predicate,
            statement=msgspec.Raw(parts.content.read(layer.digest)) if statement else UNSET,
        )
        for layer in _statements(parts, target, subject.descriptor.digest)
        if (predicate := (layer.annotations or {}).get(_PREDICATE_TYPE, "")) in types or not types
    ]


def _statements(parts: Parts, target: Descriptor, subject: str) -> Iterator[Descriptor]:
    index = manifests.read(parts.content, target)
    for entry in index.manifests if isinstance(index, Index) else ():
        about = (entry.annotations or {}).get(ATTESTATION_DIGEST)
        if not is_attestation(entry) or about != subject:
            continue
        try:
            document = manifests.read(parts.content, entry)
        except (NotFound, DataLoss, InvalidParameter):
            continue  # not pulled along
        if isinstance(document, Manifest):
            yield from (layer for layer in document.layers if layer.media_type == _IN_TOTO)
