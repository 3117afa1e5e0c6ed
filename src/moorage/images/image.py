"""What an image is here: a configuration, a manifest, a stack of unpacked layers."""

from __future__ import annotations

from collections import Counter
from typing import Protocol

from msgspec import Struct

from moorage.spec import digest as digests
from moorage.spec.digest import Digest
from moorage.spec.oci.descriptor import Descriptor
from moorage.spec.oci.image import ImageConfig


class Image(Struct, frozen=True, kw_only=True):
    """One image for one platform, unpacked and ready to run. Also what is saved of it."""

    id: Digest  # of its configuration
    config: ImageConfig
    manifest: Descriptor  # in the content store; ours if it came without one
    layers: list[Descriptor]  # blobs as pushed and saved, lowest first
    size: int  # bytes of all files of all layers
    created_ns: int  # as the configuration says; 0 = it does not
    added_ns: int
    parent: Digest | None = None  # the image it was committed from

    @property
    def diff_ids(self) -> list[Digest]:
        """Its layers by their uncompressed archives, lowest first."""
        return self.config.rootfs.diff_ids

    @property
    def chain(self) -> list[Digest]:
        """Its layers by ChainID, lowest first."""
        return digests.chain_ids(self.diff_ids)

    @property
    def chain_id(self) -> Digest | None:
        """The whole stack; None for an image without layers."""
        return self.chain[-1] if self.diff_ids else None

    @property
    def labels(self) -> dict[str, str]:
        """Labels of its configuration."""
        return (self.config.config.labels if self.config.config else None) or {}


class Tag(Struct, frozen=True, kw_only=True):
    """A name of an image, ``name:tag`` or ``name@digest``, and what it was pulled or loaded as."""

    reference: str  # in full
    image_id: Digest
    target: Descriptor  # manifest or index
    tagged_ns: int


class ImageUse(Struct, frozen=True):
    """A container that was made from an image."""

    container_id: str
    running: bool


class ImageUsers(Protocol):
    """Who knows the containers."""

    def using(self, image_id: str) -> list[ImageUse]:
        """Return the containers made from the image."""

    def count_by_image(self) -> Counter[str]:
        """Return how many containers are made from each image, by its id."""


class NoUsers:
    """Nobody uses any image (before containers are wired, and in tests)."""

    def using(self, image_id: str) -> list[ImageUse]:
        """Return nothing."""
        del image_id
        return []

    def count_by_image(self) -> Counter[str]:
        """Return nothing."""
        return Counter()
