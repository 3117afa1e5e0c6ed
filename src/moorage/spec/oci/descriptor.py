"""OCI content descriptor and image manifest; names and field order of the image specification."""

from __future__ import annotations

from msgspec import Struct, field

from moorage.spec.digest import Digest
from moorage.spec.platforms import Platform


class Descriptor(Struct, frozen=True, kw_only=True, rename="camel", omit_defaults=True):
    """Names a blob: what it is, its digest and its size in bytes.

    *digest* is unchecked when it was decoded from outside: ``spec.digest.parse`` it before use.
    """

    media_type: str = ""
    digest: Digest = field(name="digest")
    size: int = field(name="size")
    urls: list[str] | None = None
    annotations: dict[str, str] | None = None
    data: str | None = None  # base64 of the content, for tiny blobs
    platform: Platform | None = None
    artifact_type: str | None = None


class Manifest(Struct, frozen=True, kw_only=True, rename="camel", omit_defaults=True):
    """The manifest of one image, in OCI's form and Docker's schema 2 alike."""

    schema_version: int = field(name="schemaVersion")
    media_type: str = ""
    artifact_type: str | None = None
    config: Descriptor
    layers: list[Descriptor] = field(name="layers")
    subject: Descriptor | None = None
    annotations: dict[str, str] | None = None
