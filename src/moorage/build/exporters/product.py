"""A finished build of one platform, before it becomes an image, an archive or files."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from moorage.build import image
from moorage.build.result import Snapshot
from moorage.build.transfer.document import Travelling, into_config
from moorage.spec.oci.image import ImageConfig

if TYPE_CHECKING:
    from moorage.build.frontends.dockerfile.convert import Converted
    from moorage.build.frontends.dockerfile.parser import Dockerfile


@dataclass(slots=True)
class Product:
    """What the target stage became."""

    converted: Converted
    snapshot: Snapshot
    config: ImageConfig
    base_layers: int  # how many of its layers are the base image's
    dockerfile: Dockerfile
    started_ns: int = 0
    inline_cache: list[Travelling] | None = None  # to be carried by the image itself

    def encoded_config(self) -> bytes:
        """Return the bytes of the configuration, whose digest is the image's id."""
        encoded = image.encode(self.config)
        return into_config(encoded, self.inline_cache) if self.inline_cache else encoded
