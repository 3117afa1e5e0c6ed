"""What the builder needs of the rest of the daemon, as the builder sees it.

The wiring gives objects that fit: images, layers and networks of the daemon.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import BinaryIO, Protocol

from msgspec import Struct

from moorage.spec.digest import Digest
from moorage.spec.oci.image import ImageConfig
from moorage.spec.platforms import Platform


class BaseImage(Struct, frozen=True, kw_only=True):
    """An image to build on."""

    reference: str
    id: Digest  # of its configuration
    config: ImageConfig
    repo_digest: str = ""  # name@digest, for the provenance

    @property
    def layers(self) -> tuple[Digest, ...]:
        """Return its layers as digests of the uncompressed tar, lowest first."""
        return tuple(self.config.rootfs.diff_ids)


class BaseImages(Protocol):
    """Finds images by name."""

    async def resolve(self, reference: str, platform: Platform, *, pull: bool) -> BaseImage:
        """Return the image, pulled if it is not here or *pull* asks for the newest.

        Raises: NotFound, InvalidParameter.
        """
        ...


class Layer(Protocol):
    """A layer in the store."""

    @property
    def chain_id(self) -> Digest:
        """What names the layer with all below it."""
        ...

    @property
    def diff_id(self) -> Digest:
        """Digest of its uncompressed tar."""
        ...

    @property
    def size(self) -> int:
        """Bytes of its files."""
        ...


class Layers(Protocol):
    """The layer store; every method blocks."""

    def create_rw(
        self,
        container_id: str,
        *,
        parent: Digest | None,
        init: Callable[[Path], None] | None = None,
    ) -> None:
        """Make a writable layer; what *init* adds is seen in it and is no part of it."""
        ...

    def mount_rw(self, container_id: str) -> Path:
        """Mount the layer on all below it."""
        ...

    def unmount_rw(self, container_id: str) -> None:
        """Undo ``mount_rw``; not mounted is fine."""
        ...

    def remove_rw(self, container_id: str) -> None:
        """Remove the layer; absent is fine."""
        ...

    def commit_rw(self, container_id: str) -> Layer | None:
        """Make the changes an image layer; None if there are none."""
        ...

    def upper(self, container_id: str) -> Path | None:
        """Return the directory that holds only the changes; None where the driver has none."""
        ...

    def mount_view(self, key: str, chain_id: Digest) -> Path:
        """Mount an image layer with all below it, read-only."""
        ...

    def unmount_view(self, key: str) -> None:
        """Undo ``mount_view``."""
        ...

    def size_of(self, chain_id: Digest) -> int | None:
        """Return the size of a layer; None if it is not here."""
        ...

    def tar(self, chain_id: Digest) -> Iterator[bytes]:
        """Return the layer's own tar."""
        ...

    def apply(self, tar: BinaryIO, *, parent: Digest | None) -> Layer:
        """Make a layer of a tar, on top of *parent*."""
        ...


class Namespace(Struct, frozen=True, kw_only=True):
    """The network of one command."""

    path: str | None  # None: the host's own
    hosts: bytes
    resolv_conf: bytes


class CommandNetworks(Protocol):
    """Gives commands a network."""

    async def join(self, command_id: str, mode: str, extra_hosts: tuple[str, ...]) -> Namespace:
        """Make the network of a command."""
        ...

    async def leave(self, command_id: str) -> None:
        """Release it; unknown is fine."""
        ...
