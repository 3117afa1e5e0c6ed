"""``images``: the list, with all filters."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Final

from msgspec import UNSET

from moorage.images import namefilter, summary, usage
from moorage.images.image import Image
from moorage.images.operations import Parts
from moorage.lib import timestamps
from moorage.spec.engine.filters import Filters
from moorage.spec.engine.image import ImageSummary

_KNOWN: Final = ("before", "dangling", "label", "reference", "since", "until")


def list_images(
    parts: Parts,
    filters: Filters,
    *,
    show_all: bool = False,
    shared_size: bool = False,
    with_manifests: bool = False,
) -> list[ImageSummary]:
    """Return the images that *filters* let through, newest first.

    Unless *show_all*, images without a name that only serve as parents are left out.
    Raises: InvalidParameter (unknown filter), NotFound (``before``, ``since``).
    """
    filters.require_known(_KNOWN)
    wanted = _condition(parts, filters)
    shared = usage.sizes(parts.store.all(), parts.layers) if shared_size else {}
    users = parts.users.count_by_image()
    kept = parts.store.variants()
    found: list[tuple[int, ImageSummary]] = []
    for image in parts.store.all():
        names = namefilter.matching_names(parts.store.references(image.id), filters)
        if names is None or not wanted(image):
            continue
        nameless = not parts.store.references(image.id)
        if nameless and image.manifest.digest in kept:
            continue  # shown among the manifests of the name it belongs to
        if "dangling" in filters and filters.flag("dangling") != nameless:
            continue
        if nameless and not show_all and parts.store.children(image.id):
            continue
        shown = summary.of(
            image,
            names,
            shared=shared[image.id].shared if image.id in shared else -1,
            containers=users[image.id],
            manifests=summary.manifests_of(parts, image) if with_manifests else UNSET,
        )
        found.append((image.created_ns, shown))
    return [shown for _, shown in sorted(found, key=lambda pair: (-pair[0], pair[1].id))]


def _condition(parts: Parts, filters: Filters) -> Callable[[Image], bool]:
    """Look up once what the filters name."""
    before = _times(parts, filters.get("before"))
    since = _times(parts, filters.get("since"))
    until = timestamps.earliest(filters.get("until"))

    def holds(image: Image) -> bool:
        return (
            all(image.created_ns < time for time in before)
            and all(image.created_ns > time for time in since)
            and (until is None or image.created_ns <= until)
            and filters.labels(image.labels)
        )

    return holds


def _times(parts: Parts, references: Iterable[str]) -> list[int]:
    return [parts.store.resolve(reference).created_ns for reference in references]
