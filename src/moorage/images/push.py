"""Push: an image's blobs and its manifest to a registry.

The manifest goes as it came, so that an image pulled and pushed again has the same digest. Layers
that are here only unpacked are compressed first, always to the same bytes; which those were is
remembered, so that a registry that has them is not sent them, nor are they made, a second time.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from typing import TYPE_CHECKING, Final

from msgspec import Struct, structs

from moorage.images import manifests, upload, variants
from moorage.images.compressed import CompressedLayers
from moorage.images.image import Image
from moorage.images.progress import Line, Message, Reporter
from moorage.images.store import ImageStore
from moorage.lib import offload, tasks
from moorage.lib.errors import InvalidParameter, NotFound
from moorage.registry import failures
from moorage.registry.credentials import ANONYMOUS, Credentials
from moorage.registry.failures import RegistryRefusal
from moorage.registry.ways import first_answer, wanted_name
from moorage.spec import gojson, mediatype, platforms
from moorage.spec import reference as references
from moorage.spec.digest import Digest
from moorage.spec.oci.descriptor import Descriptor, Manifest
from moorage.spec.oci.index import Index
from moorage.spec.platforms import Platform
from moorage.spec.reference import Reference
from moorage.storage.leases import Lease

if TYPE_CHECKING:
    from moorage.images.pull import Publisher
    from moorage.lib.tasks import Supervisor
    from moorage.registry.registries import Registries
    from moorage.registry.repository import Repository
    from moorage.storage.leases import Leases
    from moorage.storage.metadata import Database

_MOUNTS_TRIED: Final = 3  # repositories asked for one blob before it is sent


class PushResult(Struct, frozen=True, rename="pascal"):
    """What programs are told of a pushed tag."""

    tag: str
    digest: str
    size: int


class ManifestInsteadOfIndex(Struct, frozen=True, rename="camel"):
    """What the CLI is told when an index could not be pushed whole."""

    original_index: Descriptor
    selected_manifest: Descriptor
    manifest_pushed_instead_of_index: bool = True


class _Order(Struct, frozen=True, kw_only=True):
    """One name to be pushed."""

    reference: Reference
    image: Image
    platform: Platform | None  # this one only
    lease: Lease


class _Parcel(Struct, frozen=True, kw_only=True):
    """What is pushed under one name: manifests from the inside out, and their blobs."""

    manifests: list[tuple[Descriptor, bytes]]  # the last is what the name will mean
    configs: list[Descriptor]
    layers: list[tuple[str, Descriptor]]  # what the line is called, and the blob
    instead_of: Descriptor | None = None  # the index, of which not all is here
    of_index: bool = False  # one platform of an index was asked for


class Pushes:
    """Everything pushes share; one for the daemon."""

    def __init__(
        self,
        *,
        store: ImageStore,
        leases: Leases,
        database: Database,
        registries: Registries,
        owner: Supervisor,
        events: Publisher,
    ) -> None:
        self._store = store
        self._leases = leases
        self._registries = registries
        self._owner = owner
        self._events = events
        self._compressed = CompressedLayers(database, store.content)
        self._slots = asyncio.Semaphore(registries.settings.max_concurrent_uploads)

    def push(
        self,
        name: str,
        *,
        tag: str = "",
        platform: Platform | None = None,
        credentials: Credentials = ANONYMOUS,
    ) -> AsyncIterator[Message]:
        """Push *name*; without a tag in it, and no *tag*, all tags of the repository.

        Returns: the progress, as Docker tells it.
        Events: ``push`` for each tag.
        Cancel: by closing the stream; what has arrived there is kept there.
        Raises: InvalidParameter, NotFound, Unauthorized, Forbidden, Unavailable, System.
        """
        reference = references.parse_normalized(name)
        if reference.digest is not None:
            raise InvalidParameter("cannot push a digest reference")
        if tag:
            reference = reference.with_tag(tag)
        reporter = Reporter()
        work = self._push(reporter, reference, platform, credentials)
        return reporter.stream(work, self._owner, f"push {reference}")

    def _tags(self, reference: Reference) -> list[Reference]:
        """Return the names to push. Raises: NotFound, in Docker's words."""
        names = (references.parse_normalized(tag.reference) for tag in self._store.tags())
        known = sorted(n for n in names if n.name == reference.name and n.digest is None)
        if not known:
            raise NotFound(
                f"An image does not exist locally with the tag: {reference.familiar_name}"
            )
        if reference.tag is None:
            return known
        if reference not in known:
            raise NotFound(f"tag does not exist: {reference.familiar}")
        return [reference]

    async def _push(
        self,
        reporter: Reporter,
        target: Reference,
        platform: Platform | None,
        credentials: Credentials,
    ) -> None:
        reporter.say(f"The push refers to repository [{target.name}]")
        wanted = self._tags(target)
        ways = await self._registries.repositories(target, credentials, push=True)
        for reference in wanted:
            image = self._store.resolve(str(reference))
            with self._leases.acquire(f"push {reference}") as lease:
                lease.add_all(await offload.run("fs", self._everything, reference, image))
                order = _Order(reference=reference, image=image, platform=platform, lease=lease)
                await self._push_one(reporter, order, ways)

    def _everything(self, reference: Reference, image: Image) -> set[str]:
        """Return all that the name stands for, to be kept meanwhile. Blocks."""
        tag = self._store.tag_of(reference)
        named = manifests.closure(self._store.content, tag.target if tag else image.manifest)
        return {*named, image.id, image.manifest.digest, *(blob.digest for blob in image.layers)}

    async def _push_one(
        self, reporter: Reporter, order: _Order, ways: Sequence[Repository]
    ) -> None:
        reference, image = order.reference, order.image
        probe = Digest(image.id)
        way, _ = await first_answer(
            self._registries, ways, lambda way: way.blob_size(probe), failures.of_push
        )
        try:
            parcel = await self._pack(reporter, order, way)
            await self._send(reporter, parcel, way)
            for descriptor, data in parcel.manifests[:-1]:
                await way.put_manifest(descriptor.digest, descriptor.media_type, data)
            top, data = parcel.manifests[-1]
            await way.put_manifest(wanted_name(reference), top.media_type, data)
        except RegistryRefusal as refused:
            raise failures.of_push(refused, reference) from refused
        self._name(order, parcel)
        name = wanted_name(reference)
        reporter.say(f"{name}: digest: {top.digest} size: {top.size}")
        reporter.aux(PushResult(tag=name, digest=top.digest, size=top.size))
        if parcel.instead_of is not None:
            reporter.aux(
                ManifestInsteadOfIndex(
                    original_index=parcel.instead_of, selected_manifest=parcel.manifests[-1][0]
                )
            )
        self._events.publish(
            "image", "push", reference.familiar, {**image.labels, "name": reference.familiar_name}
        )

    def _name(self, order: _Order, parcel: _Parcel) -> None:
        """Remember by which digest the registry has it; a platform that is packed has no image."""
        top, _ = parcel.manifests[-1]
        image: Image | None = order.image
        if parcel.of_index:
            image = self._store.by_manifest(top.digest)
        if image is not None:
            self._store.tag(Digest(image.id), order.reference.with_digest(top.digest), target=top)

    # -- what to push ----------------------------------------------------------------------------

    async def _pack(self, reporter: Reporter, order: _Order, way: Repository) -> _Parcel:
        """Return the manifests and blobs; everything the name means, if all of it is here.

        Raises: NotFound, if *platform* is none of it.
        """
        reference, image, platform = order.reference, order.image, order.platform
        tag = self._store.tag_of(reference)
        target = tag.target if tag is not None else image.manifest
        if mediatype.is_index(target.media_type):
            if platform is not None:
                return await offload.run("fs", self._pack_platform, target, reference, platform)
            whole = await offload.run("fs", self._pack_index, target)
            if whole is not None:
                return whole
        elif platform is not None and not platforms.matches(platform, image.config.platform):
            raise _no_platform(reference, platform)
        document = await offload.run("fs", self._manifest, image)
        layers = await self._blobs(reporter, image, document, way, order.lease)
        if layers == document.layers:
            data = await offload.run("fs", self._store.content.read, image.manifest.digest)
            top = image.manifest
        else:
            document = structs.replace(document, layers=layers)
            data = gojson.encode(document)
            top = await offload.run(
                "fs", self._store.content.put, data, document.media_type or mediatype.OCI_MANIFEST
            )
            order.lease.add(top.digest)
        return _Parcel(
            manifests=[(top, data)],
            configs=[document.config],
            layers=list(zip(image.diff_ids, layers, strict=True)),
            instead_of=target if mediatype.is_index(target.media_type) else None,
        )

    def _pack_platform(
        self, target: Descriptor, reference: Reference, platform: Platform
    ) -> _Parcel:
        """Return one platform of an index, as it came. Blocks. Raises: NotFound."""
        content = self._store.content
        for variant in variants.of(content, target):
            if platforms.matches(platform, variant.platform) and variants.is_whole(
                content, variant
            ):
                manifest = variant.manifest
                top = structs.replace(variant.descriptor, annotations=None)
                return _Parcel(
                    manifests=[(top, content.read(top.digest))],
                    configs=[manifest.config],
                    layers=[(layer.digest, layer) for layer in manifest.layers],
                    of_index=True,
                )
        raise _no_platform(reference, platform)

    def _manifest(self, image: Image) -> Manifest:
        document = manifests.read(self._store.content, image.manifest)
        assert isinstance(document, Manifest)  # noqa: S101 - an image's is no index
        return document

    def _pack_index(self, target: Descriptor) -> _Parcel | None:
        """Return a whole index with all its images, None if a part of it is not here. Blocks."""
        content = self._store.content
        found: list[tuple[Descriptor, bytes]] = []
        configs: list[Descriptor] = []
        layers: dict[Digest, Descriptor] = {}

        def visit(descriptor: Descriptor) -> bool:
            if not content.has(descriptor.digest):
                return False
            data = content.read(descriptor.digest)
            document = manifests.decode(data, descriptor.media_type)
            if isinstance(document, Index):
                whole = all(visit(entry) for entry in document.manifests)
            else:
                configs.append(document.config)
                layers.update({layer.digest: layer for layer in document.layers})
                whole = all(content.has(b.digest) for b in (document.config, *document.layers))
            found.append((descriptor, data))
            return whole

        if not visit(target):
            return None
        return _Parcel(manifests=found, configs=configs, layers=list(layers.items()))

    async def _blobs(
        self,
        reporter: Reporter,
        image: Image,
        document: Manifest,
        way: Repository,
        lease: Lease,
    ) -> list[Descriptor]:
        """Return the layers as they are to be pushed, compressing those that are not yet."""
        result: list[Descriptor] = []
        for diff_id, layer in zip(image.diff_ids, document.layers, strict=True):
            if mediatype.compression(layer.media_type) != "none" and (
                self._store.content.has(layer.digest)
                or mediatype.is_nondistributable(layer.media_type)
                or await way.blob_size(layer.digest) is not None
            ):
                result.append(layer)
                continue
            reporter.line(diff_id).state("Preparing")
            docker = layer.media_type.startswith("application/vnd.docker.")
            known = self._compressed.known(diff_id)
            if known is None or not (
                self._store.content.has(known.digest) or await way.blob_size(known.digest)
            ):
                known = await self._compressed.make(diff_id, lease)
            lease.add(known.digest)
            result.append(
                structs.replace(
                    layer,
                    media_type=mediatype.layer("gzip", docker=docker),
                    digest=known.digest,
                    size=known.size,
                )
            )
        return result

    # -- sending ---------------------------------------------------------------------------------

    async def _send(self, reporter: Reporter, parcel: _Parcel, way: Repository) -> None:
        lines: dict[Digest, tuple[Descriptor, Line | None]] = {}
        for name, layer in parcel.layers:
            if layer.digest in lines or mediatype.is_nondistributable(layer.media_type):
                continue
            line = reporter.line(name)
            line.state("Preparing")
            lines[layer.digest] = (layer, line)
        for config in parcel.configs:
            lines.setdefault(config.digest, (config, None))
        neighbours = await offload.run("fs", self._neighbours, way.reference)
        try:
            async with asyncio.TaskGroup() as group:
                for blob, sent_line in lines.values():
                    sources = neighbours.get(blob.digest, []) if sent_line else []
                    group.create_task(self._upload(way, blob, sent_line, sources))
        except ExceptionGroup as failed:
            raise tasks.foremost(failed) from failed

    async def _upload(
        self, way: Repository, blob: Descriptor, line: Line | None, mount_from: Sequence[str]
    ) -> None:
        if line is not None and self._slots.locked():
            line.state("Waiting")
        async with self._slots:
            await upload.Upload(self._store.content, way, blob, line).run(mount_from)

    def _neighbours(self, reference: Reference) -> dict[Digest, list[str]]:
        """Return by blob the repositories of the same registry that should have it. Blocks."""
        found: dict[Digest, list[str]] = {}
        for tag in self._store.tags():
            other = references.parse_normalized(tag.reference)
            if other.domain != reference.domain or other.path == reference.path:
                continue
            if other.digest is None:
                continue  # a name given here says nothing of what the registry has
            for blob in manifests.closure(self._store.content, tag.target):
                paths = found.setdefault(blob, [])
                if other.path not in paths and len(paths) < _MOUNTS_TRIED:
                    paths.append(other.path)
        return found


def _no_platform(reference: Reference, platform: Platform) -> NotFound:
    return NotFound(
        f"image with reference {reference.familiar} was found but does not provide the specified"
        f" platform ({platform})"
    )
