"""OCI image configuration with Docker's extensions; field order of the image specification.

The bytes of a configuration are its identity (the image id is their digest), so a stored image
keeps them as they came and decodes them to these types only to read.
"""

from __future__ import annotations

from typing import Final

from msgspec import Struct, field

from moorage.spec.digest import Digest
from moorage.spec.engine.health import HealthConfig
from moorage.spec.platforms import Platform

EMPTY_LAYER_DIFF_ID: Final = Digest(  # the empty tar that legacy builders wrote for no change
    "sha256:5f70bf18a086007016e948b04aed3b82103a36bea41755b6cddfaf10ace3c6ef"
)


class ContainerConfig(Struct, frozen=True, kw_only=True, rename="pascal", omit_defaults=True):
    """How to run the image: the ``config`` object. OCI's fields, then Docker's."""

    hostname: str = ""
    domainname: str = ""
    user: str = ""
    exposed_ports: dict[str, dict[str, object]] | None = None
    tty: bool = False
    open_stdin: bool = False
    env: list[str] | None = None
    cmd: list[str] | None = None
    healthcheck: HealthConfig | None = None
    args_escaped: bool = False
    volumes: dict[str, dict[str, object]] | None = None
    working_dir: str = ""
    entrypoint: list[str] | None = None
    on_build: list[str] | None = None
    labels: dict[str, str] | None = None
    stop_signal: str = ""
    stop_timeout: int | None = None  # seconds
    shell: list[str] | None = None


class RootFS(Struct, frozen=True, kw_only=True):
    """The layers of the image, lowest first, by the digest of their uncompressed tar."""

    type: str = "layers"
    diff_ids: list[Digest] = field(default_factory=list)


class History(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One step that made the image; *empty_layer* steps have no entry in ``RootFS.diff_ids``."""

    created: str | None = None
    created_by: str = ""
    author: str = ""
    comment: str = ""
    empty_layer: bool = False


class ImageConfig(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The whole configuration document."""

    created: str | None = None
    author: str = ""
    architecture: str = ""
    variant: str = ""
    os: str = ""
    os_version: str = field(default="", name="os.version")
    os_features: list[str] | None = field(default=None, name="os.features")
    config: ContainerConfig | None = None
    rootfs: RootFS = RootFS()
    history: list[History] | None = None
    comment: str = ""  # Docker
    container: str = ""  # Docker, before 25
    docker_version: str = ""  # Docker, before 25

    @property
    def platform(self) -> Platform:
        """The platform the image was made for; Docker takes an empty one for linux."""
        return Platform(
            architecture=self.architecture,
            os=self.os or "linux",
            os_version=self.os_version,
            os_features=self.os_features or [],
            variant=self.variant,
        )
