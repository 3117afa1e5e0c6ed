"""What the builder needs of the rest of the daemon, as the builder sees it.

The wiring gives objects that fit: images and networks of the daemon.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Protocol

from msgspec import Struct

from moorage.build.result import LayerRef
from moorage.registry.credentials import Credentials
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


CredentialsOf = Callable[[str], Awaitable[Credentials]]  # of a registry
Report = Callable[[str, int, int], None]  # what, bytes so far, bytes in all (0: not known)


class ImageFinder(Protocol):
    """Finds images by name for any client."""

    async def find(
        self,
        reference: str,
        platform: Platform,
        *,
        pull: bool,
        credentials: CredentialsOf,
        report: Report,
    ) -> BaseImage:
        """As ``BaseImages.resolve``, with the client's credentials; pulling is reported."""
        ...

    def configuration(self, reference: str) -> bytes | None:
        """Return the configuration of an image that is here, as it is stored."""
        ...


class ImageSink(Protocol):
    """Where finished images go."""

    async def add(self, config: bytes, layers: tuple[LayerRef, ...]) -> Digest:
        """Store an image whose layers are in the store; return its id."""
        ...

    async def load(self, archive: Path) -> None:
        """Store the images of an OCI archive under the names in it."""
        ...

    async def tag(self, image_id: Digest, reference: str) -> None:
        """Name an image."""
        ...


class Namespace(Struct, frozen=True, kw_only=True):
    """The network of one command."""

    path: str | None  # None: the host's own
    hosts: bytes
    resolv_conf: bytes


class CommandNetworks(Protocol):
    """Gives commands a network."""

    async def join(
        self,
        command_id: str,
        mode: str,
        extra_hosts: tuple[str, ...],
        namespace: int | None = None,
    ) -> Namespace:
        """Make the network of a command, in a fresh *namespace* of its users if given."""
        ...

    async def leave(self, command_id: str) -> None:
        """Release it; unknown is fine."""
        ...
