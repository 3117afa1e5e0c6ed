"""Fits the daemon's images and networks to what the builder needs (``needs``)."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Final, Protocol

from moorage.build.needs import BaseImage, CredentialsOf, Namespace, Report
from moorage.build.result import LayerRef
from moorage.images import load
from moorage.images.image import Image
from moorage.images.operations import Parts
from moorage.images.progress import Message
from moorage.lib import offload
from moorage.lib.errors import NotFound, NotImplemented_
from moorage.networks.service import Networks
from moorage.networks.values import SandboxRequest
from moorage.registry.credentials import ANONYMOUS, Credentials
from moorage.registry.repository import Repository
from moorage.spec import mediatype, platforms
from moorage.spec import reference as references
from moorage.spec.digest import Digest
from moorage.spec.oci.descriptor import Descriptor
from moorage.spec.platforms import Platform
from moorage.spec.reference import Reference
from moorage.storage.content import MANIFEST_LIMIT

_MODES: Final = {"default": "default", "": "default", "host": "host", "none": "none"}


class RegistryOperations(Protocol):
    """Pull and push (``images.service.Images``)."""

    def pull(
        self, name: str, *, tag: str, platform: str, credentials: Credentials
    ) -> AsyncIterator[Message]:
        """Pull an image."""
        ...

    def push(
        self, name: str, *, tag: str, platform: Platform | None, credentials: Credentials
    ) -> AsyncIterator[Message]:
        """Push an image."""
        ...


class Repositories(Protocol):
    """Ways to repositories (``registry.registries.Registries``)."""

    async def repositories(
        self, reference: Reference, credentials: Credentials = ANONYMOUS, *, push: bool = False
    ) -> list[Repository]:
        """Return them in the order to try them."""
        ...


class DaemonImages:
    """Base images out of the store, pulled where they are missing; finished images into it."""

    def __init__(self, parts: Parts, registry: RegistryOperations | None) -> None:
        self._parts = parts
        self._registry = registry

    async def find(
        self,
        reference: str,
        platform: Platform,
        *,
        pull: bool,
        credentials: CredentialsOf,
        report: Report,
    ) -> BaseImage:
        """Find a base image.

        Raises: NotFound, InvalidParameter (no reference), and what pulling raises.
        """
        found = None if pull else self._find(reference, platform)
        if found is None and self._registry is not None:
            full = references.parse_with_default_tag(reference)
            messages = self._registry.pull(
                str(full),
                tag="",
                platform=str(platform),
                credentials=await credentials(full.domain),
            )
            await _tell(messages, report)
        found = found or self._parts.store.resolve(reference)
        digests = self._parts.store.repo_digests(found.id)
        return BaseImage(
            reference=reference,
            id=found.id,
            config=found.config,
            repo_digest=digests[0] if digests else "",
        )

    def configuration(self, reference: str) -> bytes | None:
        """Return the configuration of an image that is here, as it is stored."""
        try:
            image = self._parts.store.resolve(reference)
        except NotFound:
            return None
        return self._parts.content.read(image.id, limit=MANIFEST_LIMIT)

    async def push(self, name: str, credentials: CredentialsOf, report: Report) -> None:
        """Push a tagged image. Raises: as ``Pushes.push``."""
        if self._registry is None:
            raise NotImplemented_("pushing is not available in this daemon")
        full = references.parse_with_default_tag(name)
        messages = self._registry.push(
            str(full),
            tag="",
            platform=None,
            credentials=await credentials(full.domain),
        )
        await _tell(messages, report)

    def _find(self, name: str, platform: Platform) -> Image | None:
        try:
            image = self._parts.store.resolve(name)
        except NotFound:
            return None
        offered = image.config.platform
        suits = platforms.best(platform, [(offered, True)]) or not offered.architecture
        return image if suits else None

    async def add(self, config: bytes, layers: tuple[LayerRef, ...]) -> Digest:
        """Store an image; layers that an image has already keep the blob they are known by."""
        known = {
            chain_id: descriptor
            for image in self._parts.store.all()
            for chain_id, descriptor in zip(image.chain, image.layers, strict=False)
        }
        descriptors = [known.get(layer.chain_id) or self._plain(layer) for layer in layers]
        store = self._parts.store
        image = await offload.run("fs", lambda: store.add(config=config, layers=descriptors))
        return image.id

    def _plain(self, layer: LayerRef) -> Descriptor:
        size = self._parts.layers.get(layer.chain_id).tar_size
        return Descriptor(media_type=mediatype.OCI_LAYER, digest=layer.diff_id, size=size)

    async def load(self, archive: Path) -> None:
        """Store the images of an archive, as ``docker load``. Events: ``image load``."""

        def work() -> None:
            with archive.open("rb") as file:
                load.load(self._parts, file, lambda _line: None)

        await offload.run("fs", work)

    async def tag(self, image_id: Digest, name: str) -> None:
        """Name an image. Events: ``image tag``."""
        full = references.parse_with_default_tag(name)
        await offload.run("fs", self._parts.store.tag, image_id, full)
        self._parts.announce("tag", image_id, full.familiar)


async def _tell(messages: AsyncIterator[Message], report: Report) -> None:
    """Pass the progress of a pull or push on."""
    async for message in messages:
        detail = message.progress_detail
        text = f"{message.id} {message.status}".strip() or message.stream
        report(text, detail.current if detail else 0, detail.total if detail else 0)


class DaemonNetworks:
    """A network for each command: the default bridge, none, the host's, or a named one."""

    def __init__(self, networks: Networks) -> None:
        self._networks = networks

    async def join(
        self,
        command_id: str,
        mode: str,
        extra_hosts: tuple[str, ...],
        namespace: int | None = None,
    ) -> Namespace:
        """Make the network of a command. Raises: NotFound (the network), System."""
        sandbox = await self._networks.join(
            SandboxRequest(
                container_id=command_id,
                name=f"build-{command_id[:12]}",
                network_mode=_MODES.get(mode, mode),
                extra_hosts=list(extra_hosts),
            ),
            namespace=namespace,
        )
        return Namespace(
            path=str(sandbox.key) if sandbox.key else None,
            hosts=sandbox.hosts,
            resolv_conf=sandbox.resolv_conf,
        )

    async def leave(self, command_id: str) -> None:
        """Release it."""
        await self._networks.leave(command_id)
