"""From a reference to the manifest of one image at a registry, by whichever way answers.

Mirrors are asked first; one that fails or lacks the image is passed over.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import TYPE_CHECKING, Final

from msgspec import Struct

from moorage.images import manifests
from moorage.lib.errors import InvalidParameter, NotFound
from moorage.registry.ways import first_answer, wanted_name
from moorage.spec import digest as digests
from moorage.spec import mediatype, platforms
from moorage.spec.oci.descriptor import Descriptor, Manifest
from moorage.spec.oci.index import Index, is_attestation
from moorage.spec.platforms import Platform
from moorage.spec.reference import Reference

if TYPE_CHECKING:
    from moorage.registry.registries import Registries
    from moorage.registry.repository import FetchedManifest, Repository

MAX_LAYERS: Final = 125  # as many as overlayfs and Docker take
_MAX_NESTING: Final = 3  # indexes in indexes


class RemoteImage(Struct, frozen=True, kw_only=True):
    """One image at a registry: its verified manifest, and the indexes that led to it."""

    reference: Reference
    repository: Repository  # the way that answered; its blobs are asked for there first
    target: FetchedManifest  # what the reference names: an index or the manifest itself
    indexes: tuple[FetchedManifest, ...]
    manifest: FetchedManifest
    document: Manifest


async def find(
    registries: Registries, ways: Sequence[Repository], reference: Reference, wanted: Platform
) -> RemoteImage:
    """Fetch the manifest of *reference* that suits *wanted*.

    Raises: NotFound (reference or platform), InvalidParameter, System, DataLoss, Unauthorized.
    """
    resolving = [way for way in ways if way.endpoint.can_resolve or reference.digest]

    async def named(way: Repository) -> tuple[FetchedManifest, Manifest | Index]:
        fetched = await way.manifest(wanted_name(reference))
        return fetched, decode(fetched, reference)  # a mirror that gives nonsense is passed over

    way, (target, document) = await first_answer(registries, resolving, named)
    indexes: list[FetchedManifest] = []
    manifest = target
    while isinstance(document, Index):
        if len(indexes) == _MAX_NESTING:
            raise InvalidParameter(f"{reference.familiar}: indexes are nested too deeply")
        indexes.append(manifest)
        chosen = choose(document, wanted)
        _, manifest = await first_answer(registries, sources(way, ways), _manifest_of(chosen))
        document = decode(manifest, reference)
    return RemoteImage(
        reference=reference,
        repository=way,
        target=target,
        indexes=tuple(indexes),
        manifest=manifest,
        document=_require_image(document, reference),
    )


def sources(way: Repository, ways: Sequence[Repository]) -> list[Repository]:
    """Return where to fetch what has a digest, in the order to try.

    Mirrors that may not say what a tag means are there for just this; then comes the way that
    answered, then those by way of other hosts.
    """
    first = [w for w in ways if w.endpoint.is_mirror and not w.endpoint.can_resolve and w != way]
    others = (w for w in ways if w.endpoint.host != way.endpoint.host and w not in first)
    return [*first, way, *others]


def _manifest_of(descriptor: Descriptor) -> Callable[[Repository], Awaitable[FetchedManifest]]:
    return lambda way: way.manifest(digests.parse(descriptor.digest))


def choose(index: Index, wanted: Platform) -> Descriptor:
    """Return the entry of an index that suits *wanted* best; statements about images are no images.

    Raises: NotFound, with Docker's sentence.
    """
    offers = [
        (entry.platform or Platform(), entry)
        for entry in index.manifests
        if not is_attestation(entry)
        and (mediatype.is_manifest(entry.media_type) or mediatype.is_index(entry.media_type))
    ]
    best = platforms.best(wanted, offers)
    if best is None and len(offers) == 1 and offers[0][1].platform is None:
        best = offers[0][1]  # the only one, and it does not say
    if best is None:
        there = ", ".join(sorted({str(platform) for platform, _ in offers if str(platform)}))
        raise NotFound(
            f"no matching manifest for {wanted} in the manifest list entries",
            hint=f"there is: {there}" if there else None,
        )
    return best


def decode(fetched: FetchedManifest, reference: Reference) -> Manifest | Index:
    """Decode and check what a registry gave. Raises: InvalidParameter, naming the reference."""
    try:
        return manifests.decode(fetched.data, fetched.descriptor.media_type)
    except InvalidParameter as error:
        raise InvalidParameter(f"{reference.familiar}: {error.message}", hint=error.hint) from error


def _require_image(document: Manifest, reference: Reference) -> Manifest:
    """Check that a manifest is one of an image we can run.

    Raises: InvalidParameter (an artifact that is no image, unknown layers, too many).
    """
    if not mediatype.is_config(document.config.media_type):
        what = document.artifact_type or document.config.media_type
        raise InvalidParameter(
            f"{reference.familiar} is not an image but an artifact of type {what}",
            hint="only images can be pulled",
        )
    for layer in document.layers:
        if not mediatype.is_layer(layer.media_type):
            raise InvalidParameter(
                f"{reference.familiar} has a layer of unknown media type {layer.media_type}"
            )
    if len(document.layers) > MAX_LAYERS:
        raise InvalidParameter(
            f"max depth exceeded: {reference.familiar} has {len(document.layers)} layers",
            hint=f"{MAX_LAYERS} are the most",
        )
    return document
