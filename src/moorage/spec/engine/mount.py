"""Values of the Engine API about mounts asked for and mounts shown.

Names and fields are those of its document (1.55).

A list or map that is ``None`` is Go's nil: it is written as ``null``.
"""

from __future__ import annotations

from msgspec import UNSET, Struct, UnsetType, field


class BindOptions(Struct, frozen=True, kw_only=True, rename="pascal", omit_defaults=True):
    """Part of the document: ``BindOptions``."""

    propagation: str = ""
    non_recursive: bool = False
    create_mountpoint: bool = False
    read_only_non_recursive: bool = False
    read_only_force_recursive: bool = False


class VolumeOptionsDriverConfig(
    Struct, frozen=True, kw_only=True, rename="pascal", omit_defaults=True
):
    """Part of the document: ``VolumeOptionsDriverConfig``."""

    name: str = ""
    options: dict[str, str] | None = None


class VolumeOptions(Struct, frozen=True, kw_only=True, rename="pascal", omit_defaults=True):
    """Part of the document: ``VolumeOptions``."""

    no_copy: bool = False
    labels: dict[str, str] | None = None
    driver_config: VolumeOptionsDriverConfig | None = None
    subpath: str = ""


class ImageMountOptions(Struct, frozen=True, kw_only=True, rename="pascal", omit_defaults=True):
    """Part of the document: ``ImageMountOptions``."""

    subpath: str = ""


class TmpfsOptions(Struct, frozen=True, kw_only=True, rename="pascal", omit_defaults=True):
    """Part of the document: ``TmpfsOptions``."""

    size_bytes: int = 0
    mode: int = 0
    options: list[list[str]] | None = None


class Mount(Struct, frozen=True, kw_only=True, rename="pascal", omit_defaults=True):
    """The document's ``Mount``."""

    target: str = ""
    source: str = ""
    type: str = ""
    read_only: bool = False
    consistency: str = ""
    bind_options: BindOptions | None = None
    volume_options: VolumeOptions | None = None
    image_options: ImageMountOptions | None = None
    tmpfs_options: TmpfsOptions | None = None


class MountPoint(Struct, frozen=True, kw_only=True, rename="pascal"):
    """The document's ``MountPoint``."""

    type: str = ""
    name: str | UnsetType = UNSET
    source: str = ""
    destination: str = ""
    driver: str | UnsetType = UNSET
    mode: str = ""
    rw: bool = field(default=False, name="RW")
    propagation: str = ""
