"""Values of the Engine API about the build cache and build progress.

Names and fields are those of its document (1.55).

A list or map that is ``None`` is Go's nil: it is written as ``null``.
"""

from __future__ import annotations

from msgspec import Struct, field

from moorage.spec.engine.system import ErrorDetail, ProgressDetail


class BuildInfo(Struct, frozen=True, kw_only=True, rename="pascal"):
    """The document's ``BuildInfo``."""

    id: str = field(default="", name="id")
    stream: str = field(default="", name="stream")
    error_detail: ErrorDetail | None = field(default=None, name="errorDetail")
    status: str = field(default="", name="status")
    progress_detail: ProgressDetail | None = field(default=None, name="progressDetail")
    aux: ImageID | None = field(default=None, name="aux")


class BuildCache(Struct, frozen=True, kw_only=True, rename="pascal"):
    """The document's ``BuildCache``."""

    id: str = field(default="", name="ID")
    parents: list[str] | None = None
    type: str = ""
    description: str = ""
    in_use: bool = False
    shared: bool = False
    size: int = 0
    created_at: str = ""
    last_used_at: str | None = None
    usage_count: int = 0


class BuildCacheDiskUsage(Struct, frozen=True, kw_only=True, rename="pascal"):
    """The document's ``BuildCacheDiskUsage``."""

    active_count: int = 0
    total_count: int = 0
    reclaimable: int = 0
    total_size: int = 0
    items: list[object] | None = None


class ImageID(Struct, frozen=True, kw_only=True, rename="pascal"):
    """The document's ``ImageID``."""

    id: str = field(default="", name="ID")
