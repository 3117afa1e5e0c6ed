"""Values of the Engine API about volumes.

Names and fields are those of its document (1.55).

A list or map that is ``None`` is Go's nil: it is written as ``null``.
"""

from __future__ import annotations

from msgspec import UNSET, Struct, UnsetType


class VolumeUsageData(Struct, frozen=True, kw_only=True, rename="pascal"):
    """Part of the document: ``VolumeUsageData``."""

    size: int = 0
    ref_count: int = 0


class Volume(Struct, frozen=True, kw_only=True, rename="pascal"):
    """The document's ``Volume``."""

    name: str = ""
    driver: str = ""
    mountpoint: str = ""
    created_at: str = ""
    status: dict[str, object] | UnsetType = UNSET  # of plugins that tell one
    labels: dict[str, str] | None = None
    scope: str = ""
    options: dict[str, str] | None = None
    usage_data: VolumeUsageData | UnsetType = UNSET  # in `df` only


class VolumesDiskUsage(Struct, frozen=True, kw_only=True, rename="pascal"):
    """The document's ``VolumesDiskUsage``."""

    active_count: int = 0
    total_count: int = 0
    reclaimable: int = 0
    total_size: int = 0
    items: list[object] | None = None


class VolumeCreateRequest(Struct, frozen=True, kw_only=True, rename="pascal"):
    """The document's ``VolumeCreateRequest``."""

    name: str = ""
    driver: str = ""
    driver_opts: dict[str, str] | None = None
    labels: dict[str, str] | None = None
    cluster_volume_spec: object = None


class VolumeListResponse(Struct, frozen=True, kw_only=True, rename="pascal"):
    """The document's ``VolumeListResponse``."""

    volumes: list[Volume] | None = None
    warnings: list[str] | None = None


class VolumePruneResponse(Struct, frozen=True, kw_only=True, rename="pascal"):
    """The document's ``VolumePruneResponse``."""

    volumes_deleted: list[str] | None = None
    space_reclaimed: int = 0
