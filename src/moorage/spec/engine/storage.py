"""Values of the Engine API about where a container or image is stored.

Names and fields are those of its document (1.55).

A list or map that is ``None`` is Go's nil: it is written as ``null``.
"""

from __future__ import annotations

from msgspec import Struct, field


class DriverData(Struct, frozen=True, kw_only=True, rename="pascal"):
    """The document's ``DriverData``."""

    name: str = ""
    data: dict[str, str] | None = None


class Storage(Struct, frozen=True, kw_only=True, rename="pascal"):
    """The document's ``Storage``."""

    root_fs: RootFSStorage | None = field(default=None, name="RootFS")


class RootFSStorage(Struct, frozen=True, kw_only=True, rename="pascal"):
    """The document's ``RootFSStorage``."""

    snapshot: RootFSStorageSnapshot | None = None


class RootFSStorageSnapshot(Struct, frozen=True, kw_only=True, rename="pascal"):
    """The document's ``RootFSStorageSnapshot``."""

    name: str = ""
