"""Disk usage of all domains (``system df``): each kind is counted by its own domain."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Collection, Sequence
from typing import Final, Protocol, TypeVar

from msgspec import UNSET, Struct, structs

from moorage.lib.errors import InvalidParameter
from moorage.spec.engine.build import BuildCacheDiskUsage
from moorage.spec.engine.container import ContainersDiskUsage, ContainerSummary
from moorage.spec.engine.image import ImagesDiskUsage
from moorage.spec.engine.volume import Volume, VolumesDiskUsage

T = TypeVar("T")
KINDS: Final = ("container", "image", "volume", "build-cache")
_ACTIVE_STATES: Final = frozenset({"running", "paused", "restarting"})


class DataUsage(Struct, frozen=True, kw_only=True, rename="pascal", omit_defaults=True):
    """The document's answer to ``SystemDataUsage``; a kind that was not asked for is absent."""

    image_usage: ImagesDiskUsage | None = None
    container_usage: ContainersDiskUsage | None = None
    volume_usage: VolumesDiskUsage | None = None
    build_cache_usage: BuildCacheDiskUsage | None = None


class Sources(Protocol):
    """What the domains count."""

    async def containers(self) -> Sequence[ContainerSummary]:
        """Return all containers with their sizes."""
        ...

    async def images(self) -> ImagesDiskUsage:
        """Return the usage of images."""
        ...

    async def volumes(self) -> Sequence[Volume]:
        """Return all volumes with their sizes."""
        ...

    async def build_cache(self) -> BuildCacheDiskUsage:
        """Return the usage of the build cache."""
        ...


async def data_usage(sources: Sources, kinds: Collection[str], *, verbose: bool) -> DataUsage:
    """Count the *kinds*, all if none is named, at the same time; *verbose* lists every object.

    Raises: InvalidParameter, on an unknown kind.
    """
    unknown = [kind for kind in kinds if kind not in KINDS]
    if unknown:
        raise InvalidParameter(f"unknown object type: {unknown[0]}", hint=", ".join(KINDS))
    wanted = set(kinds or KINDS)
    async with asyncio.TaskGroup() as group:
        images = group.create_task(_if("image" in wanted, sources.images))
        containers = group.create_task(_if("container" in wanted, sources.containers))
        volumes = group.create_task(_if("volume" in wanted, sources.volumes))
        builds = group.create_task(_if("build-cache" in wanted, sources.build_cache))
    usage = DataUsage(
        image_usage=images.result(),
        container_usage=None if (found := containers.result()) is None else _containers(found),
        volume_usage=None if (held := volumes.result()) is None else _volumes(held),
        build_cache_usage=builds.result(),
    )
    return usage if verbose else _brief(usage)


async def _if(wanted: bool, count: Callable[[], Awaitable[T]]) -> T | None:  # noqa: FBT001
    return await count() if wanted else None


def _brief(usage: DataUsage) -> DataUsage:
    """Take the lists out."""
    image, container = usage.image_usage, usage.container_usage
    volume, build = usage.volume_usage, usage.build_cache_usage
    return DataUsage(
        image_usage=image and structs.replace(image, items=None),
        container_usage=container and structs.replace(container, items=None),
        volume_usage=volume and structs.replace(volume, items=None),
        build_cache_usage=build and structs.replace(build, items=None),
    )


def _containers(found: Sequence[ContainerSummary]) -> ContainersDiskUsage:
    sizes = [container.size_rw or 0 for container in found]
    active = [container.state in _ACTIVE_STATES for container in found]
    return ContainersDiskUsage(
        active_count=sum(active),
        total_count=len(found),
        reclaimable=sum(size for size, on in zip(sizes, active, strict=True) if not on),
        total_size=sum(sizes),
        items=list(found),
    )


def _volumes(found: Sequence[Volume]) -> VolumesDiskUsage:
    asked = (volume.usage_data for volume in found)
    used = [usage for usage in asked if usage is not UNSET]
    return VolumesDiskUsage(
        active_count=sum(usage.ref_count > 0 for usage in used),
        total_count=len(found),
        reclaimable=sum(max(usage.size, 0) for usage in used if usage.ref_count <= 0),
        total_size=sum(max(usage.size, 0) for usage in used),
        items=list(found),
    )
