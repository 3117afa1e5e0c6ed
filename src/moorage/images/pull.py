"""Pull: from a reference at a registry to an image that can run.

1. The reference is resolved, by way of mirrors and indexes, to one manifest (``remote.py``).
2. The configuration is fetched; it names the layers by their unpacked digests.
3. Layers are downloaded and unpacked (``unpacking.py``, ``download.py``).
4. One record makes it an image, another gives it its name.

Until 4 a lease keeps what has arrived. It outlives a kill, a cut and a cancel, so that pulling
again goes on from there; what a lying registry brought is dropped.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import contextmanager
from functools import cached_property
from typing import TYPE_CHECKING, Final, Protocol

from msgspec import structs

from moorage.images import download, remote, unpacking
from moorage.images.progress import Message, Reporter
from moorage.images.store import ImageStore, decode_config
from moorage.lib import offload
from moorage.lib.errors import (
    DataLoss,
    DeadlineExceeded,
    InvalidParameter,
    MoorageError,
    NotFound,
    System,
    Unauthorized,
    Unavailable,
)
from moorage.lib.failpoint import failpoint
from moorage.registry.credentials import ANONYMOUS, Credentials
from moorage.registry.ways import first_answer, wanted_name
from moorage.spec import digest as digests
from moorage.spec import platforms
from moorage.spec import reference as references
from moorage.spec.digest import Digest
from moorage.spec.platforms import Platform
from moorage.spec.reference import Reference
from moorage.storage.content import MANIFEST_LIMIT

if TYPE_CHECKING:
    from collections.abc import Iterator

    from moorage.images.download import Downloads
    from moorage.images.image import Image
    from moorage.images.remote import RemoteImage
    from moorage.images.unpacking import Unpacker
    from moorage.lib.tasks import Supervisor
    from moorage.registry.registries import Registries
    from moorage.registry.repository import Repository
    from moorage.storage.leases import Lease, Leases

PULL_LEASE: Final = "pull "  # begins the names of leases
_SCRATCH: Final = "scratch"
_RESUMABLE: Final = (Unavailable, DeadlineExceeded, asyncio.CancelledError)


class Publisher(Protocol):
    """Where events go."""

    def publish(self, kind: str, action: str, actor_id: str, attributes: dict[str, str], /) -> None:
        """Publish one event; never blocks."""


class Pulls:
    """Everything pulls share; one for the daemon."""

    def __init__(
        self,
        *,
        store: ImageStore,
        leases: Leases,
        registries: Registries,
        owner: Supervisor,
        events: Publisher,
        collect: Callable[[], object],
    ) -> None:
        """*collect* drops what nobody keeps; it blocks and is called off the loop."""
        self._store = store
        self._leases = leases
        self._registries = registries
        self._owner = owner
        self._events = events
        self._collect = collect

    @cached_property
    def _downloads(self) -> Downloads:
        settings = self._registries.settings
        return download.Downloads(
            self._store.content,
            self._owner,
            limit=settings.max_concurrent_downloads,
            attempts=settings.max_download_attempts,
        )

    @cached_property
    def _unpacker(self) -> Unpacker:
        return unpacking.Unpacker(self._store.content, self._store.layers, self._downloads)

    def pull(
        self,
        name: str,
        *,
        tag: str = "",
        platform: str = "",
        credentials: Credentials = ANONYMOUS,
    ) -> AsyncIterator[Message]:
        """Pull *name*; without a tag in it, and no *tag* (or digest), all of the repository's tags.

        Returns: the progress, as Docker tells it.
        Events: ``pull`` for each tag.
        Cancel: by closing the stream; what has arrived is kept for the next time.
        Raises: InvalidParameter, NotFound, Unavailable, System, DataLoss.
        """
        reference = parse_target(name, tag)
        if reference.familiar_name == _SCRATCH:
            raise InvalidParameter("'scratch' is a reserved name", hint="it is the empty image")
        wanted = platforms.parse(platform, default=self._store.host) if platform else None
        reporter = Reporter()
        work = self._pull(reporter, reference, wanted, credentials)
        return reporter.stream(work, self._owner, f"pull {reference}")

    async def fetch(
        self,
        reference: Reference,
        *,
        platform: Platform | None = None,
        credentials: Credentials = ANONYMOUS,
        reporter: Reporter | None = None,
    ) -> Image:
        """Pull one reference and return the image, for builds.

        Cancel: what has arrived is kept for the next time. Raises: as ``pull``.
        """
        ways = await self._registries.repositories(reference, credentials)
        image, _ = await self._pull_one(
            reporter or Reporter(), reference.with_default_tag(), ways, platform
        )
        return image

    async def _pull(
        self,
        reporter: Reporter,
        reference: Reference,
        platform: Platform | None,
        credentials: Credentials,
    ) -> None:
        try:
            await self._pull_all(reporter, reference, platform, credentials)
        except Unauthorized as error:
            # as dockerd has it; at a 401 the Docker CLI would ask for a password and wait
            raise System(error.message, hint=error.hint) from error

    async def _pull_all(
        self,
        reporter: Reporter,
        reference: Reference,
        platform: Platform | None,
        credentials: Credentials,
    ) -> None:
        ways = await self._registries.repositories(reference, credentials)
        if not reference.is_name_only:
            _, changed = await self._pull_one(reporter, reference, ways, platform)
        else:
            _, tags = await first_answer(self._registries, ways, lambda way: way.tags())
            if not tags:
                raise NotFound(f"repository {reference.familiar_name} has no tags")
            changed = False
            for tag in sorted(tags):
                one = reference.with_tag(tag)
                changed |= (await self._pull_one(reporter, one, ways, platform))[1]
        what = "Downloaded newer image" if changed else "Image is up to date"
        reporter.say(f"Status: {what} for {reference.familiar}")

    async def _pull_one(
        self,
        reporter: Reporter,
        reference: Reference,
        ways: Sequence[Repository],
        platform: Platform | None,
    ) -> tuple[Image, bool]:
        """Pull one tag or digest; return the image, and whether the name is new for it."""
        found = await remote.find(self._registries, ways, reference, platform or self._store.host)
        reporter.say(f"Pulling from {reference.path}", id=wanted_name(reference))
        sources = remote.sources(found.repository, ways)
        try:
            with self._leased(reference) as lease:
                is_new = self._store.find(found.document.config.digest) is None
                image = await self._bring(reporter, found, sources, lease, platform)
                try:
                    failpoint("images.pull.before_tag")
                    changed = self._name(image, found)
                except MoorageError:
                    if is_new:  # nobody has asked for one without a name
                        self._store.remove(image.id)
                    raise
        except _RESUMABLE:
            raise
        except BaseException:
            for blob in {
                b.digest: b for b in (found.document.config, *found.document.layers)
            }.values():
                await self._downloads.discard(blob)
            raise
        reporter.say(f"Digest: {found.target.descriptor.digest}")
        self._events.publish(
            "image",
            "pull",
            reference.familiar,
            {**image.labels, "name": reference.familiar_name},
        )
        return image, changed

    @contextmanager
    def _leased(self, reference: Reference) -> Iterator[Lease]:
        """Lease for a pull: taken over from one that was cut, kept if this one is cut.

        After any other failure what nobody else keeps is dropped.
        """
        name = f"{PULL_LEASE}{reference}"
        before = self._leases.find(name)
        lease = self._leases.acquire(name)
        try:
            yield lease
        except BaseException as error:
            if not isinstance(error, _RESUMABLE):
                for old in (*before, lease):
                    old.release()
                _ = self._owner.start(offload.run("fs", self._collect), f"collect after {name}")
            raise
        for old in (*before, lease):
            old.release()

    async def _bring(
        self,
        reporter: Reporter,
        found: RemoteImage,
        sources: Sequence[Repository],
        lease: Lease,
        platform: Platform | None,
    ) -> Image:
        content = self._store.content
        for fetched in (*found.indexes, found.manifest):
            lease.add(fetched.descriptor.digest)
            await offload.run("fs", content.put, fetched.data, fetched.descriptor.media_type)
        config = await self._config(found, sources, lease)
        document = decode_config(config)
        layers = found.document.layers
        if len(document.rootfs.diff_ids) != len(layers):
            raise DataLoss(
                f"{found.reference.familiar}: the configuration describes"
                f" {len(document.rootfs.diff_ids)} layers, the manifest {len(layers)}"
            )
        if platform is not None and not platforms.matches(platform, document.platform):
            raise NotFound(
                f"image with reference {found.reference.familiar} was found but its platform"
                f" ({document.platform}) does not match the specified platform ({platform})"
            )
        chain = digests.chain_ids(document.rootfs.diff_ids)
        parents: list[Digest | None] = [None, *chain[:-1]]
        wanted = [
            unpacking.WantedLayer(blob=blob, diff_id=diff_id, chain_id=chain_id, parent=parent)
            for blob, diff_id, chain_id, parent in zip(
                layers, document.rootfs.diff_ids, chain, parents, strict=False
            )
        ]
        known = self._store.find(found.document.config.digest) is not None
        await self._unpacker.bring(wanted, sources, lease, reporter, is_known=known)
        failpoint("images.pull.before_add")
        manifest = found.manifest.descriptor
        return await offload.run(
            "fs", self._store.add, config=config, layers=layers, manifest=manifest
        )

    async def _config(
        self, found: RemoteImage, sources: Sequence[Repository], lease: Lease
    ) -> bytes:
        descriptor = found.document.config
        lease.add(descriptor.digest)
        if descriptor.size > MANIFEST_LIMIT:
            raise InvalidParameter(
                f"{found.reference.familiar}: a configuration of {descriptor.size} bytes is too"
                f" large, {MANIFEST_LIMIT} are the most"
            )
        content = self._store.content
        if not content.has(descriptor.digest):
            coming = self._downloads.join(descriptor, sources)
            try:
                await coming.wait()
            finally:
                coming.leave()
        return await offload.run("fs", content.read, descriptor.digest)

    def _name(self, image: Image, found: RemoteImage) -> bool:
        """Give the image its names; return whether the one asked for is new for it."""
        target = found.target.descriptor
        digest = Digest(target.digest)
        by_digest = found.reference.with_digest(digest)
        new = self._store.tag_of(by_digest) is None
        with self._store.transaction():
            self._store.tag(image.id, by_digest, target=target)
            if found.reference.digest is not None or found.reference.tag is None:
                return new
            named = structs.replace(found.reference, digest=None)
            before = self._store.tag_of(named)
            self._store.tag(image.id, named, target=target)
            return before is None or before.image_id != image.id


def parse_target(name: str, tag: str) -> Reference:
    """Return what ``fromImage`` and ``tag`` ask for. Raises: InvalidParameter."""
    reference = references.parse_normalized(name.removesuffix(":"))
    if not tag:
        return reference
    if digests.is_digest(tag):
        return structs.replace(reference, digest=Digest(tag))
    return reference.with_tag(tag)
