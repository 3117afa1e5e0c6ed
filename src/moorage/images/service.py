"""All images of the daemon: the operations of the Engine API, composed."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Sequence
from functools import partial
from typing import TYPE_CHECKING, BinaryIO, Final

from moorage.images import (
    attestations,
    check,
    importing,
    inspect,
    load,
    prune,
    remove,
    removeplatforms,
    save,
    source,
)
from moorage.images import list as listing
from moorage.images.image import Image
from moorage.images.operations import Parts
from moorage.images.progress import Message, Reporter
from moorage.images.pull import PULL_LEASE, Pulls
from moorage.images.push import Pushes
from moorage.images.store import ImageStore
from moorage.lib import bridge, offload, tasks
from moorage.lib.errors import Conflict, InvalidParameter, NotImplemented_, System
from moorage.registry.credentials import Credentials
from moorage.spec import digest as digests
from moorage.spec import reference as references
from moorage.spec.digest import Digest
from moorage.spec.engine.filters import Filters
from moorage.spec.engine.image import (
    ImageDeleteResponseItem,
    ImageHistoryResponseItem,
    ImageInspect,
    ImagesDiskUsage,
    ImageSummary,
)
from moorage.spec.oci.descriptor import Descriptor
from moorage.spec.platforms import Platform
from moorage.spec.reference import Reference
from moorage.storage.durability import Durability, Kind, forget_pages

if TYPE_CHECKING:
    from moorage.images.attestations import AttestationStatement
    from moorage.images.check import Findings
    from moorage.images.importing import ImportOptions

log = logging.getLogger(__name__)

_SYNC_INTERVAL_S: Final = 15.0


class Images:
    """One for the daemon; ``open`` before use.

    Reads are served from memory. Removals run to their end although the client hangs up; load,
    save and import end with it.
    """

    def __init__(
        self, parts: Parts, pulls: Pulls | None = None, pushes: Pushes | None = None
    ) -> None:
        self.parts = parts
        self._pulls = pulls
        self._pushes = pushes
        self._checking = False

    @property
    def store(self) -> ImageStore:
        """The images, for other domains."""
        return self.parts.store

    async def open(self) -> None:
        """Drop what an earlier daemon left half done, once all domains hold their leases again."""
        self.parts.leases.release_cut_off(resumed=PULL_LEASE)
        await offload.run("fs", self._verify_suspects)
        await offload.run("fs", self._collect)
        if self.parts.durability is not None:
            _ = self.parts.supervisor.start(self._sync(self.parts.durability), "sync")

    def _verify_suspects(self) -> None:
        """After a power cut: look at what was not certainly on the disk."""
        durability = self.parts.durability
        suspects = durability.suspects() if durability is not None else []
        if suspects and durability is not None:
            log.warning("%d blobs and layers may have been lost: checking them", len(suspects))
            for kind, name in suspects:
                self._forget_pages(kind, digests.parse(name))
            check.check(self.parts, log.warning, only={name for _, name in suspects})
            for kind, name in suspects:
                durability.forget(kind, name)

    def _forget_pages(self, kind: Kind, digest: Digest) -> None:
        layers = self.parts.layers
        if kind == "blob":
            forget_pages(self.parts.content.path(digest))
        elif (layer := layers.find(digest)) is not None:
            tree = layers.driver.tree(layer.name)
            forget_pages(tree.parent if layer.has_recipe else tree)

    async def _sync(self, durability: Durability) -> None:
        """Bring what was stored to the disk, a while after it was."""
        while True:
            await asyncio.sleep(_SYNC_INTERVAL_S)
            try:
                await offload.run("fs", durability.sync)
            except (OSError, System) as error:
                log.error("what was stored last may not be on the disk: %s", error)  # noqa: TRY400

    async def check(self, *, repair: bool) -> Findings:
        """Look for damage in the store, and mend it if asked to, while all goes on.

        Cancel: no effect; the check goes on. Raises: Conflict (one is under way).
        """
        if self._checking:
            raise Conflict("a check of the store is already running")
        self._checking = True
        return await tasks.finish(self._check(repair), self.parts.supervisor, "system check")

    async def _check(self, repair: bool) -> Findings:  # noqa: FBT001 - one call
        try:
            return await offload.run_disposable(
                check.check, self.parts, log.warning, mend=repair, live=True
            )
        finally:
            self._checking = False

    def _collect(self) -> None:
        self.parts.content.remove_leftovers()
        self.parts.collect()

    def list_images(
        self,
        filters: Filters,
        *,
        show_all: bool = False,
        shared_size: bool = False,
        with_manifests: bool = False,
    ) -> list[ImageSummary]:
        """Return the images, newest first."""
        return listing.list_images(
            self.parts,
            filters,
            show_all=show_all,
            shared_size=shared_size,
            with_manifests=with_manifests,
        )

    def inspect(
        self, ref: str, *, platform: Platform | None = None, with_manifests: bool = False
    ) -> ImageInspect:
        """Return all that is known of an image. Raises: NotFound."""
        return inspect.inspect(self.parts, ref, platform=platform, with_manifests=with_manifests)

    def history(
        self, ref: str, *, platform: Platform | None = None
    ) -> list[ImageHistoryResponseItem]:
        """Return the steps that made the image. Raises: NotFound."""
        return inspect.history(self.parts, ref, platform=platform)

    def attestations(
        self, ref: str, platform: Platform | None, types: Sequence[str], *, statement: bool
    ) -> list[AttestationStatement]:
        """Return what is stated about an image. Raises: NotFound."""
        return attestations.attestations(self.parts, ref, platform, types, statement=statement)

    def tag(self, ref: str, *, repository: str, tag: str) -> None:
        """Give an image one more name. Events: ``tag``. Raises: NotFound, InvalidParameter."""
        image = self.parts.store.resolve(ref)
        name = parse_name(repository, tag)
        self.parts.store.tag(image.id, name, target=self._target(ref, image))
        self.parts.announce("tag", image.id, name.familiar)

    def _target(self, ref: str, image: Image) -> Descriptor | None:
        """A new name stands for what the old one stood for, all platforms included."""
        if self.parts.store.is_id(ref, image.id):
            return None
        old = references.parse_with_default_tag(ref)
        found = self.parts.store.tag_of(old.with_digest(old.digest) if old.digest else old)
        return found.target if found else None

    async def remove(
        self, ref: str, *, force: bool, prune: bool, platforms: Sequence[Platform] = ()
    ) -> list[ImageDeleteResponseItem]:
        """Remove a name, an image, or single *platforms* of it.

        Events: ``untag``, ``delete``. Raises: NotFound, Conflict.
        """
        work = partial(remove.remove, self.parts, ref, force=force, prune=prune)
        if platforms:
            work = partial(
                removeplatforms.remove_platforms,
                self.parts,
                ref,
                platforms,
                force=force,
                prune=prune,
            )
        return await tasks.finish(offload.run("fs", work), self.parts.supervisor, "image remove")

    async def prune(self, filters: Filters) -> tuple[list[ImageDeleteResponseItem], int]:
        """Remove unused images; return what was done and the bytes freed. Events: ``prune``."""
        work = partial(prune.prune, self.parts, filters)
        return await tasks.finish(offload.run("fs", work), self.parts.supervisor, "image prune")

    def disk_usage(self) -> ImagesDiskUsage:
        """Return the images' part of ``system df``."""
        return prune.disk_usage(self.parts)

    def save(
        self, names: Sequence[str], *, platforms: Sequence[Platform] = ()
    ) -> AsyncIterator[bytes]:
        """Return an archive of images; all names are looked up before. Raises: NotFound."""
        wanted = save.select(self.parts, names, platforms)
        return bridge.iterate(lambda file: save.save(self.parts, wanted, file))

    def load(
        self,
        content: AsyncIterator[bytes],
        *,
        platforms: Sequence[Platform] = (),
        quiet: bool = True,
    ) -> AsyncIterator[Message]:
        """Load the images of an archive; return messages about it. Events: ``load``.

        Unless *quiet* they tell how far each layer is.
        """
        reporter = Reporter()

        def consume(file: BinaryIO) -> None:
            load.load(
                self.parts,
                file,
                lambda text: reporter.post(Message(stream=text)),
                wanted=list(platforms),
                watch=None if quiet else reporter.watch("Loading layer"),
            )

        work = bridge.feed(content, consume)
        return reporter.stream(work, self.parts.supervisor, "load")

    def pull(
        self, name: str, *, tag: str, platform: str, credentials: Credentials
    ) -> AsyncIterator[Message]:
        """Pull from a registry; return progress. Events: ``pull``. Raises: as ``Pulls.pull``."""
        if self._pulls is None:
            raise NotImplemented_("ImageCreate: pulling is not configured")
        return self._pulls.pull(name, tag=tag, platform=platform, credentials=credentials)

    def push(
        self, name: str, *, tag: str, platform: Platform | None, credentials: Credentials
    ) -> AsyncIterator[Message]:
        """Push to a registry; return progress. Events: ``push``. Raises: as ``Pushes.push``."""
        if self._pushes is None:
            raise NotImplemented_("ImagePush: pushing is not configured")
        return self._pushes.push(name, tag=tag, platform=platform, credentials=credentials)

    def import_image(
        self, content: AsyncIterator[bytes], options: ImportOptions
    ) -> AsyncIterator[Message]:
        """Make an image of a root file system's tar. Events: ``import``."""
        reporter = Reporter()

        def consume(file: BinaryIO) -> None:
            image = importing.import_image(self.parts, file, options)
            reporter.post(Message(status=image.id))

        work = bridge.feed(content, consume)
        return reporter.stream(work, self.parts.supervisor, "import")

    def import_from(self, url: str, options: ImportOptions) -> AsyncIterator[Message]:
        """Make an image of what is at *url*. Events: ``import``. Raises: InvalidParameter."""
        return self.import_image(source.fetch(url), options)


def parse_name(repository: str, tag: str) -> Reference:
    """Return the name that *repository* and *tag* make. Raises: InvalidParameter."""
    name = references.parse_normalized(repository)
    if name.digest is not None:
        raise InvalidParameter("refusing to create a tag with a digest reference")
    if tag:
        return name.with_tag(tag)
    return name.with_default_tag()
