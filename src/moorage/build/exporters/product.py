"""A finished build of one platform, before it becomes an image, an archive or files."""

from __future__ import annotations

from dataclasses import dataclass

from moorage.build.frontends.dockerfile.convert import Converted
from moorage.build.frontends.dockerfile.parser import Dockerfile
from moorage.build.result import Snapshot
from moorage.spec.oci.image import ImageConfig


@dataclass(slots=True)
class Product:
    """What the target stage became."""

    converted: Converted
    snapshot: Snapshot
    config: ImageConfig
    base_layers: int  # how many of its layers are the base image's
    dockerfile: Dockerfile
    started_ns: int = 0
