"""All images and their names, in memory, saved in the database; reads never wait.

The bytes belong to the content store, the trees to the layer store. What this store names is
what the garbage collector keeps.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from moorage.images import manifests
from moorage.images.image import Image, Tag
from moorage.images.records import ImageRecords
from moorage.lib import clock
from moorage.lib.errors import DataLoss, InvalidParameter, NotFound
from moorage.lib.failpoint import failpoint
from moorage.spec import digest as digests
from moorage.spec import gojson, mediatype, platforms
from moorage.spec import reference as references
from moorage.spec.digest import Digest
from moorage.spec.oci.descriptor import Descriptor
from moorage.spec.oci.image import ImageConfig
from moorage.spec.platforms import Platform
from moorage.spec.reference import Reference
from moorage.storage.content import MANIFEST_LIMIT, ContentStore
from moorage.storage.layers import LayerStore
from moorage.storage.metadata import Database


class ImageStore:
    """Images and tags. ``_lock`` guards the dictionaries; writers may be threads."""

    def __init__(self, *, database: Database, content: ContentStore, layers: LayerStore) -> None:
        self.content = content
        self.layers = layers
        self.host = platforms.of_machine(os.uname().machine)
        self._records = ImageRecords(database)
        self._lock = threading.RLock()
        self._images: dict[str, Image] = {}
        self._tags: dict[str, Tag] = {}
        self._names: dict[str, set[str]] = {}  # image id to its references
        self._listed: dict[str, frozenset[Digest]] = {}  # index to the manifests it lists
        self._hidden: dict[str, Image] = {}  # their layers belong to another storage driver

    def open(self) -> None:
        """Load the tables. Images whose layers this driver does not have are kept, unseen."""
        for image in self._records.images():
            here = image.chain_id is None or self.layers.has(image.chain_id)
            (self._images if here else self._hidden)[image.id] = image
        for tag in self._records.tags():
            if tag.image_id in self._images:
                self._remember(tag)
            elif tag.image_id not in self._hidden:
                self._records.delete_tag(tag.reference)

    # --- looking --------------------------------------------------------------------------------

    def find(self, image_id: str) -> Image | None:
        """Return the image with this whole id, None if it is not here."""
        return self._images.get(image_id)

    def by_manifest(self, digest: str) -> Image | None:
        """Return the image with this manifest."""
        return next((image for image in self.all() if image.manifest.digest == digest), None)

    def all(self) -> list[Image]:
        """Return all images."""
        with self._lock:
            return list(self._images.values())

    def hidden(self) -> list[Image]:
        """Return the images of other storage drivers."""
        return list(self._hidden.values())

    def tags(self) -> list[Tag]:
        """Return all names."""
        with self._lock:
            return list(self._tags.values())

    def tag_of(self, reference: Reference) -> Tag | None:
        """Return what is called exactly so."""
        return self._tags.get(str(reference))

    def references(self, image_id: str) -> list[Reference]:
        """Return all names of an image, tags and digests, sorted."""
        with self._lock:
            names = sorted(self._names.get(image_id, ()))
        return [references.parse_normalized(name) for name in names]

    def repo_tags(self, image_id: str) -> list[str]:
        """Return its names with a tag, as Docker shows them."""
        return [ref.familiar for ref in self.references(image_id) if ref.digest is None]

    def repo_digests(self, image_id: str) -> list[str]:
        """Return its names with a digest, as Docker shows them."""
        return [ref.familiar for ref in self.references(image_id) if ref.digest is not None]

    def children(self, image_id: str) -> list[Image]:
        """Return the images that were committed from this one."""
        return [image for image in self.all() if image.parent == image_id]

    def resolve(self, ref: str, *, platform: Platform | None = None) -> Image:
        """Return the image called *ref*: a name, name with digest, id or unambiguous short id.

        Names go before short ids; a name with tag and digest must have that digest.
        Raises: NotFound ("No such image: x:latest"), InvalidParameter (no reference).
        """
        image = self._by_name(ref) or self._by_id(ref)
        if image is None:
            raise NotFound(f"No such image: {_shown(ref)}")
        if platform is None or platforms.matches(platform, image.config.platform):
            return image
        other = self._of_platform(ref, platform)
        if other is None:
            raise NotFound(
                f"image with reference {ref} was found but does not provide the specified"
                f" platform ({platform})"
            )
        return other

    def _of_platform(self, ref: str, platform: Platform) -> Image | None:
        """Return the image of another platform that the index called *ref* lists."""
        tag = self.tag_called(ref)
        members = self._members(tag.target) if tag is not None else frozenset()
        for image in self.all():
            listed = image.manifest.digest in members
            if listed and platforms.matches(platform, image.config.platform):
                return image
        return None

    def variants(self) -> set[Digest]:
        """Return the manifests of all platforms that names stand for."""
        targets = {tag.target.digest: tag.target for tag in self.tags()}
        found: set[Digest] = set()
        for target in targets.values():
            found |= self._members(target)
        for gone in [digest for digest in list(self._listed) if digest not in targets]:
            self._listed.pop(gone, None)
        return found

    def _members(self, target: Descriptor) -> frozenset[Digest]:
        if not mediatype.is_index(target.media_type):
            return frozenset()
        if target.digest not in self._listed:
            self._listed[target.digest] = manifests.listed(self.content, target)
        return self._listed[target.digest]

    def names(self, ref: str, image_id: str) -> bool:
        """Whether *ref* names the image with this id now."""
        try:
            return self.resolve(ref).id == image_id
        except (NotFound, InvalidParameter):
            return False

    def is_id(self, ref: str, image_id: str) -> bool:
        """Whether *ref* is the (short) id of the image, not one of its names."""
        bare = ref.removeprefix("sha256:")
        return self._by_name(ref) is None and digests.hex_of(Digest(image_id)).startswith(bare)

    def tag_called(self, ref: str) -> Tag | None:
        """Return the name *ref*, as somebody wrote it; None for an id and what is not here."""
        if references.is_image_id(ref):
            return None
        try:
            reference = references.parse_with_default_tag(ref)
        except InvalidParameter:
            return None
        if reference.digest is not None:  # the tag beside it says nothing (moby 20.10.20)
            reference = reference.with_digest(reference.digest)
        return self._tags.get(str(reference))

    def _by_name(self, ref: str) -> Image | None:
        tag = self.tag_called(ref)
        return self._images.get(tag.image_id) if tag else None

    def _by_id(self, ref: str) -> Image | None:
        bare = ref.removeprefix("sha256:")
        if (exact := self._images.get(f"sha256:{bare}")) is not None:
            return exact
        if not bare or not all(c in "0123456789abcdef" for c in bare):
            return None
        with self._lock:
            found = [image for key, image in self._images.items() if key[7:].startswith(bare)]
        return found[0] if len(found) == 1 else None

    # --- changing -------------------------------------------------------------------------------

    def add(
        self,
        *,
        config: bytes,
        layers: Sequence[Descriptor],
        manifest: Descriptor | None = None,
        parent: Digest | None = None,
    ) -> Image:
        """Record an image whose layers are unpacked; the caller holds a lease on all of it.

        Without a *manifest* one is made of *layers*. Adding an image again changes nothing, but
        a manifest that came with it replaces one we had made.
        Raises: InvalidParameter (bad configuration), DataLoss (a layer is missing).
        """
        document = decode_config(config)
        image_id = digests.of(config)
        chain = digests.chain_ids(document.rootfs.diff_ids)
        for chain_id in chain:
            if not self.layers.has(chain_id):
                raise DataLoss(f"image {image_id}: layer {chain_id} is missing")
        with self._lock:  # the collector, who takes it too, sees blobs and record or neither
            self.content.put(config, mediatype.OCI_CONFIG)
            known = self._images.get(image_id)
            if manifest is None and known is not None:
                return known
            image = Image(
                id=image_id,
                config=document,
                manifest=manifest or manifests.synthesize(self.content, config, layers),
                layers=list(layers),
                size=sum(self.layers.get(chain_id).size for chain_id in chain),
                created_ns=created_ns(document),
                added_ns=known.added_ns if known else clock.now_ns(),
                parent=parent or (known.parent if known else None),
            )
            failpoint("images.before_record")
            self._records.save_image(image)
            self._images[image_id] = image
            self._hidden.pop(image_id, None)
        failpoint("images.after_record")
        return image

    def tag(
        self, image_id: Digest, reference: Reference, *, target: Descriptor | None = None
    ) -> Image | None:
        """Give an image a name, taking it from whoever had it.

        Returns: the image that had the name before, if it was another.
        Raises: NotFound (the image has gone), InvalidParameter (the name could be taken for a
        digest or an id).
        """
        if references.is_ambiguous(reference):
            raise InvalidParameter(
                "refusing to create an ambiguous tag using digest algorithm as name"
            )
        with self._lock:
            image = self._images.get(image_id)
            if image is None:
                raise NotFound(f"No such image: {image_id}")
            tag = Tag(
                reference=str(reference),
                image_id=image_id,
                target=target or image.manifest,
                tagged_ns=clock.now_ns(),
            )
            before = self._tags.get(tag.reference)
            self._records.save_tag(tag)
            if before is not None:
                self._forget(before)
            self._remember(tag)
        if before is None or before.image_id == image_id:
            return None
        return self._images.get(before.image_id)

    def untag(self, reference: Reference) -> None:
        """Take a name away; absent is fine."""
        with self._lock:
            self._records.delete_tag(str(reference))
            tag = self._tags.get(str(reference))
            if tag is not None:
                self._forget(tag)

    def remove(self, image_id: Digest) -> None:
        """Forget an image and all its names; its bytes are the garbage collector's."""
        with self._lock, self._records.database.transaction():
            for reference in self.references(image_id):
                self.untag(reference)
            self._records.delete_image(image_id)
            self._images.pop(image_id, None)
        failpoint("images.after_remove")

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """Make several changes all or not at all, on disk and in memory."""
        with self._lock:
            saved = (
                dict(self._images),
                dict(self._hidden),
                dict(self._tags),
                {image_id: set(names) for image_id, names in self._names.items()},
            )
            try:
                with self._records.database.transaction():
                    yield
            except BaseException:
                self._images, self._hidden, self._tags, self._names = saved
                raise

    def _remember(self, tag: Tag) -> None:
        self._tags[tag.reference] = tag
        self._names.setdefault(tag.image_id, set()).add(tag.reference)

    def _forget(self, tag: Tag) -> None:
        self._tags.pop(tag.reference, None)
        names = self._names.get(tag.image_id, set())
        names.discard(tag.reference)
        if not names:
            self._names.pop(tag.image_id, None)


def decode_config(config: bytes) -> ImageConfig:
    """Decode and check an image configuration from outside. Raises: InvalidParameter."""
    if len(config) > MANIFEST_LIMIT:
        raise InvalidParameter("invalid image: its configuration is too large")
    document = gojson.decode(config, ImageConfig)
    if document.rootfs.type not in {"layers", ""}:
        raise InvalidParameter(f"invalid image: rootfs of type {document.rootfs.type!r}")
    for diff_id in document.rootfs.diff_ids:
        digests.parse(diff_id)
    return document


def created_ns(config: ImageConfig) -> int:
    """Return when an image says it was made; 0 = it does not."""
    try:
        return clock.parse_rfc3339(config.created) if config.created else 0
    except ValueError:
        return 0


def _shown(ref: str) -> str:
    """Return *ref* as Docker's message has it: names with their default tag.

    Raises: InvalidParameter (neither an id nor a name).
    """
    if references.is_image_id(ref):
        return ref
    return references.parse_with_default_tag(ref).familiar
