"""Values of the Engine API about images and registries.

Names and fields are those of its document (1.55).

A list or map that is ``None`` is Go's nil: it is written as ``null``.
"""

from __future__ import annotations

from msgspec import UNSET, Struct, UnsetType, field

from moorage.spec.engine.health import HealthConfig
from moorage.spec.engine.storage import DriverData


class ImageHistoryResponseItem(Struct, frozen=True, kw_only=True, rename="pascal"):
    """The document's ``ImageHistoryResponseItem``."""

    id: str = ""
    created: int = 0
    created_by: str = ""
    tags: list[str] | None = None
    size: int = 0
    comment: str = ""


class ImageConfig(Struct, frozen=True, kw_only=True, rename="pascal", omit_defaults=True):
    """The document's ``ImageConfig``."""

    user: str = ""
    exposed_ports: dict[str, dict[str, object]] | None = None
    env: list[str] | None = None
    cmd: list[str] | None = None
    healthcheck: HealthConfig | None = None
    args_escaped: bool = False
    volumes: dict[str, dict[str, object]] | None = None
    working_dir: str = ""
    entrypoint: list[str] | None = None
    on_build: list[str] | None = None
    labels: dict[str, str] | None = None
    stop_signal: str | None = None
    shell: list[str] | None = None


class ImageInspectRootFS(Struct, frozen=True, kw_only=True, rename="pascal"):
    """Part of the document: ``ImageInspectRootFS``."""

    type: str = ""
    layers: list[str] | None = None


class ImageInspectMetadata(Struct, frozen=True, kw_only=True, rename="pascal"):
    """Part of the document: ``ImageInspectMetadata``."""

    last_tag_time: str | None = None


class ImageInspect(Struct, frozen=True, kw_only=True, rename="pascal"):
    """The document's ``ImageInspect``."""

    id: str = ""
    descriptor: OCIDescriptor | UnsetType = UNSET
    manifests: list[ImageManifestSummary] | UnsetType = UNSET
    identity: Identity | UnsetType = UNSET
    repo_tags: list[str] | None = None
    repo_digests: list[str] | None = None
    parent: str = ""
    comment: str | None = None
    created: str | None = None
    author: str | None = None
    config: ImageConfig | None = None
    architecture: str = ""
    variant: str | UnsetType = UNSET
    os: str = ""
    os_version: str | UnsetType = UNSET
    size: int = 0
    graph_driver: DriverData | None = None
    root_fs: ImageInspectRootFS | None = field(default=None, name="RootFS")
    metadata: ImageInspectMetadata | None = None


class ImageSummary(Struct, frozen=True, kw_only=True, rename="pascal"):
    """The document's ``ImageSummary``."""

    id: str = ""
    parent_id: str = ""
    repo_tags: list[str] | None = None
    repo_digests: list[str] | None = None
    created: int = 0
    size: int = 0
    shared_size: int = 0
    labels: dict[str, str] | None = None
    containers: int = 0
    manifests: list[ImageManifestSummary] | UnsetType = UNSET
    descriptor: OCIDescriptor | UnsetType = UNSET


class ImagesDiskUsage(Struct, frozen=True, kw_only=True, rename="pascal"):
    """The document's ``ImagesDiskUsage``."""

    active_count: int = 0
    total_count: int = 0
    reclaimable: int = 0
    total_size: int = 0
    items: list[object] | None = None


class ImageDeleteResponseItem(
    Struct, frozen=True, kw_only=True, rename="pascal", omit_defaults=True
):
    """The document's ``ImageDeleteResponseItem``."""

    untagged: str = ""
    deleted: str = ""


class ImagePruneResponse(Struct, frozen=True, kw_only=True, rename="pascal"):
    """The document's answer of ``ImagePrune``."""

    images_deleted: list[ImageDeleteResponseItem] | None = None
    space_reclaimed: int = 0


class OCIDescriptor(Struct, frozen=True, kw_only=True, rename="pascal", omit_defaults=True):
    """The document's ``OCIDescriptor``."""

    media_type: str = field(default="", name="mediaType")
    digest: str = field(default="", name="digest")
    size: int = field(default=0, name="size")
    urls: list[str] | None = field(default=None, name="urls")
    annotations: dict[str, str] | None = field(default=None, name="annotations")
    data: str | None = field(default=None, name="data")
    platform: OCIPlatform | None = field(default=None, name="platform")
    artifact_type: str | None = field(default=None, name="artifactType")


class OCIPlatform(Struct, frozen=True, kw_only=True, rename="pascal", omit_defaults=True):
    """The document's ``OCIPlatform``."""

    architecture: str = field(default="", name="architecture")
    os: str = field(default="", name="os")
    os_version: str = field(default="", name="os.version")
    os_features: list[str] | None = field(default=None, name="os.features")
    variant: str = field(default="", name="variant")


class ImageManifestSummarySize(Struct, frozen=True, kw_only=True, rename="pascal"):
    """Part of the document: ``ImageManifestSummarySize``."""

    total: int = 0
    content: int = 0


class ImageManifestSummaryImageDataSize(Struct, frozen=True, kw_only=True, rename="pascal"):
    """Part of the document: ``ImageManifestSummaryImageDataSize``."""

    unpacked: int = 0


class ImageManifestSummaryImageData(Struct, frozen=True, kw_only=True, rename="pascal"):
    """Part of the document: ``ImageManifestSummaryImageData``."""

    platform: OCIPlatform | None = None
    identity: Identity | None = None
    containers: list[str] | None = None
    size: ImageManifestSummaryImageDataSize | None = None


class ImageManifestSummaryAttestationData(Struct, frozen=True, kw_only=True, rename="pascal"):
    """Part of the document: ``ImageManifestSummaryAttestationData``."""

    for_: str = ""


class ImageManifestSummary(Struct, frozen=True, kw_only=True, rename="pascal"):
    """The document's ``ImageManifestSummary``."""

    id: str = field(default="", name="ID")
    descriptor: OCIDescriptor | None = None
    available: bool = False
    size: ImageManifestSummarySize | None = None
    kind: str = ""
    image_data: ImageManifestSummaryImageData | None = None
    attestation_data: ImageManifestSummaryAttestationData | None = None


class DistributionInspect(Struct, frozen=True, kw_only=True, rename="pascal"):
    """The document's ``DistributionInspect``."""

    descriptor: OCIDescriptor | None = None
    platforms: list[OCIPlatform] | None = None


class Identity(Struct, frozen=True, kw_only=True, rename="pascal"):
    """The document's ``Identity``."""

    signature: list[object] | None = None
    pull: list[PullIdentity] | None = None
    build: list[BuildIdentity] | None = None


class BuildIdentity(Struct, frozen=True, kw_only=True, rename="pascal"):
    """The document's ``BuildIdentity``."""

    ref: str = ""
    created_at: str = ""


class PullIdentity(Struct, frozen=True, kw_only=True, rename="pascal"):
    """The document's ``PullIdentity``."""

    repository: str = ""
