"""OCI image index (Docker: manifest list) and the marker file of an OCI layout directory."""

from __future__ import annotations

from typing import Final

from msgspec import Struct, field

from moorage.spec.oci.descriptor import Descriptor

LAYOUT_FILE: Final = "oci-layout"
INDEX_FILE: Final = "index.json"
LAYOUT_VERSION: Final = "1.0.0"

REF_NAME: Final = "org.opencontainers.image.ref.name"
CONTAINERD_IMAGE_NAME: Final = "io.containerd.image.name"
ATTESTATION_TYPE: Final = "vnd.docker.reference.type"  # "attestation-manifest"
ATTESTATION_DIGEST: Final = "vnd.docker.reference.digest"  # of the image it speaks of


class Index(Struct, frozen=True, kw_only=True, rename="camel", omit_defaults=True):
    """A list of manifests, usually one for a platform."""

    schema_version: int = field(name="schemaVersion")
    media_type: str = ""
    artifact_type: str | None = None
    manifests: list[Descriptor] = field(name="manifests")
    subject: Descriptor | None = None
    annotations: dict[str, str] | None = None


class ImageLayout(Struct, frozen=True, kw_only=True):
    """Content of the ``oci-layout`` file."""

    image_layout_version: str = field(name="imageLayoutVersion", default=LAYOUT_VERSION)


def is_attestation(descriptor: Descriptor) -> bool:
    """Whether *descriptor* names a statement about an image (buildx provenance, SBOM), no image."""
    annotations = descriptor.annotations or {}
    platform = descriptor.platform
    unknown = platform is not None and (platform.os, platform.architecture) == (
        "unknown",
        "unknown",
    )
    return unknown or annotations.get(ATTESTATION_TYPE) == "attestation-manifest"
