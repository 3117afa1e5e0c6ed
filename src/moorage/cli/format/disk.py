"""Columns of ``moor system df``."""

from __future__ import annotations

from moorage.cli.format import containers, images, volumes
from moorage.cli.format.listing import Table
from moorage.cli.row import Row
from moorage.cli.text import age, go_time, short_id
from moorage.lib import clock, units

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from moorage.client.jsonwire import Json

ACTIVE = frozenset({"running", "paused", "restarting"})


class UsageRow(Row):
    """One kind of object: how many, how big, how much could go."""

    kind = "formatter.diskUsageImagesContext"

    def __init__(self, name: str, total: int, active: int, size: int, reclaimable: int) -> None:
        self.name = name
        self.total = total
        self.active = active
        self.size = size
        self.free = reclaimable

    def reclaimable(self) -> str:
        """Return what could go, and its share; the build cache has no share."""
        text = units.human_size(self.free)
        if self.size <= 0 or self.name == "Build Cache":
            return text
        return f"{text} ({int(self.free * 100 / self.size)}%)"

    columns = {  # noqa: RUF012
        "Active": lambda self: str(self.active),
        "Reclaimable": reclaimable,
        "Size": lambda self: units.human_size(self.size),
        "TotalCount": lambda self: str(self.total),
        "Type": lambda self: self.name,
    }


SUMMARY_TABLE = Table(
    ("Type", "TotalCount", "Active", "Size", "Reclaimable"),
    {
        "Type": "TYPE",
        "TotalCount": "TOTAL",
        "Active": "ACTIVE",
        "Size": "SIZE",
        "Reclaimable": "RECLAIMABLE",
    },
    raw=(
        *(("type", "Type"), ("total", "TotalCount"), ("active", "Active")),
        *(("size", "Size"), ("reclaimable", "Reclaimable")),
    ),
)


_ITEMS = {
    "Images": "ImageUsage",
    "Containers": "ContainerUsage",
    "Volumes": "VolumeUsage",
    "BuildCache": "BuildCacheUsage",
}
_PARTS = tuple(
    zip(("Images", "Containers", "Local Volumes", "Build Cache"), _ITEMS.values(), strict=True)
)


def summary_rows(usage: Json) -> list[UsageRow]:
    """Return the four rows of the overview, of an answer in the shape of 1.52 or an older one."""
    if "ImageUsage" in usage:
        return [
            UsageRow(
                name,
                part.get("TotalCount", 0),
                part.get("ActiveCount", 0),
                part.get("TotalSize", 0),
                part.get("Reclaimable", 0),
            )
            for name, part in ((name, usage.get(key) or {}) for name, key in _PARTS)
        ]
    return [
        _images(usage.get("Images") or [], usage.get("LayersSize") or 0),
        _containers(usage.get("Containers") or []),
        _volumes(usage.get("Volumes") or []),
        _caches(usage.get("BuildCache") or []),
    ]


def items(usage: Json, kind: str) -> list[Json]:
    """Return the objects of a verbose answer: Images, Containers, Volumes or BuildCache."""
    part = usage.get(_ITEMS[kind])
    return (part.get("Items") if part else usage.get(kind)) or []


def _images(found: list[Json], layers_size: int) -> UsageRow:
    active = [image for image in found if image.get("Containers", 0) > 0]
    used = sum(
        image["Size"] - max(image.get("SharedSize", 0), 0)
        for image in active
        if image["Size"] != -1 and image.get("SharedSize", -1) != -1
    )
    return UsageRow("Images", len(found), len(active), layers_size, layers_size - used)


def _containers(found: list[Json]) -> UsageRow:
    active = [container for container in found if container["State"] in ACTIVE]
    size = sum(container.get("SizeRw") or 0 for container in found)
    free = size - sum(container.get("SizeRw") or 0 for container in active)
    return UsageRow("Containers", len(found), len(active), size, free)


def _volumes(found: list[Json]) -> UsageRow:
    usages = [volume.get("UsageData") or {"Size": 0, "RefCount": 0} for volume in found]
    size = sum(max(usage["Size"], 0) for usage in usages)
    free = sum(max(usage["Size"], 0) for usage in usages if usage["RefCount"] == 0)
    active = sum(usage["RefCount"] > 0 for usage in usages)
    return UsageRow("Local Volumes", len(found), active, size, free)


def _caches(found: list[Json]) -> UsageRow:
    own = [cache for cache in found if not cache["Shared"]]
    size = sum(cache["Size"] for cache in own)
    used = sum(cache["Size"] for cache in own if cache["InUse"])
    active = sum(cache["InUse"] for cache in found)
    return UsageRow("Build Cache", len(found), active, size, size - used)


class DetailsRow(Row):
    """All objects, as a template of ``df -v`` sees them."""

    kind = "formatter.diskUsageContext"

    def __init__(self, rows: dict[str, Sequence[Row]]) -> None:
        self.columns = {kind: (lambda _, found=found: list(found)) for kind, found in rows.items()}

    def plain(self) -> dict[str, object]:
        """Return everything, in docker's order."""
        return {kind: column(self) for kind, column in self.columns.items()}


class CacheRow(Row):
    """One record of the build cache."""

    kind = "formatter.buildCacheContext"

    def __init__(self, cache: Json, *, truncate: bool) -> None:
        self.cache = cache
        self.truncate = truncate

    def identifier(self) -> str:
        """Return the ID; a star marks what is in use."""
        identifier = str(self.cache["ID"])
        shown = short_id(identifier) if self.truncate else identifier
        return shown + ("*" if self.cache["InUse"] else "")

    def at(self, key: str) -> str:
        """Return when, as Go prints it; empty for never."""
        moment = self.cache.get(key)
        return go_time(clock.parse_rfc3339(moment)) if moment else ""

    def since(self, key: str) -> str:
        """Return how long ago, empty for never."""
        moment = self.cache.get(key)
        return age(clock.parse_rfc3339(moment) / 1e9) if moment else ""

    columns = {  # noqa: RUF012
        "CacheType": lambda self: self.cache["Type"],
        "CreatedAt": lambda self: self.at("CreatedAt"),
        "CreatedSince": lambda self: self.since("CreatedAt"),
        "Description": lambda self: self.cache.get("Description", ""),
        "ID": identifier,
        "InUse": lambda self: str(self.cache["InUse"]).lower(),
        "LastUsedAt": lambda self: self.at("LastUsedAt"),
        "LastUsedSince": lambda self: self.since("LastUsedAt"),
        "Parent": lambda self: ",".join(self.cache.get("Parents") or ()),
        "Shared": lambda self: str(self.cache["Shared"]).lower(),
        "Size": lambda self: units.human_size(self.cache["Size"], precision=3),
        "UsageCount": lambda self: str(self.cache["UsageCount"]),
    }


IMAGE_TABLE = Table(
    ("Repository", "Tag", "ID", "CreatedSince", "Size", "SharedSize", "UniqueSize", "Containers"),
    images.TABLE.headings,
    images.DIGEST_TABLE.raw,
)
CONTAINER_TABLE = Table(
    ("ID", "Image", "Command", "LocalVolumes", "Size", "RunningFor", "Status", "Names"),
    containers.TABLE.headings,
    containers.SIZED_TABLE.raw,
)
VOLUME_TABLE = Table(("Name", "Links", "Size"), volumes.TABLE.headings, volumes.TABLE.raw)
CACHE_TABLE = Table(
    ("ID", "CacheType", "Size", "CreatedSince", "LastUsedSince", "UsageCount", "Shared"),
    {
        "ID": "CACHE ID",
        "CacheType": "CACHE TYPE",
        "Size": "SIZE",
        "CreatedSince": "CREATED",
        "LastUsedSince": "LAST USED",
        "UsageCount": "USAGE",
        "Shared": "SHARED",
    },
    raw=(
        *(("build_cache_id", "ID"), ("parent_id", "Parent"), ("build_cache_type", "CacheType")),
        *(("description", "Description"), ("created_at", "CreatedAt")),
        *(("created_since", "CreatedSince"), ("last_used_at", "LastUsedAt")),
        *(("last_used_since", "LastUsedSince"), ("usage_count", "UsageCount")),
        *(("in_use", "InUse"), ("shared", "Shared")),
    ),
)
