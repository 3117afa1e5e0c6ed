"""Differences between versions of the Engine API: inside, only the newest shape is known.

Each line says: for clients *before* that version, the query or the body of that operation is lifted
to the newest shape, or the result lowered to theirs. What each does is in ``version_changes.py``.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import msgspec

from moorage.api import version_changes as c
from moorage.api.version_changes import Document, Query

Version = tuple[int, int]
Change = Callable[[Document], None]
QueryChange = Callable[[Query], None]

# Programs that speak the newest version they are offered, though they know none behind this one.
OFFERED: Final = {"docker-compose/1.": "1.44"}

LIFT_QUERY: Final[list[tuple[Version, str, QueryChange]]] = [
    ((1, 30), "ContainerWait", c.wait_for_not_running),
    ((1, 32), "ImageBuild", c.unasked("platform")),
    ((1, 32), "ImageCreate", c.unasked("platform")),
    ((1, 41), "ContainerCreate", c.unasked("platform")),
    ((1, 41), "ContainerStats", c.unasked("one-shot")),
    ((1, 41), "ImageList", c.image_filter_to_filters),
    ((1, 42), "ContainerAttachWebsocket", c.attach_all_streams),
    ((1, 42), "ContainerRestart", c.unasked("signal")),
    ((1, 42), "ContainerStop", c.unasked("signal")),
    ((1, 42), "ImageList", c.unasked("shared-size")),
    ((1, 42), "SystemDataUsage", c.unasked("type")),
    ((1, 42), "VolumePrune", c.prune_all_volumes),
    ((1, 46), "ImagePush", c.unasked("platform")),
    ((1, 47), "ImageList", c.unasked("manifests")),
    ((1, 48), "BuildPrune", c.keep_storage_to_reserved_space),
    ((1, 48), "ImageGet", c.unasked("platform")),
    ((1, 48), "ImageGetAll", c.unasked("platform")),
    ((1, 48), "ImageHistory", c.unasked("platform")),
    ((1, 48), "ImageInspect", c.unasked("manifests")),
    ((1, 48), "ImageLoad", c.unasked("platform")),
    ((1, 49), "ImageInspect", c.unasked("platform")),
    ((1, 50), "ImageDelete", c.unasked("platforms")),
    ((1, 53), "SystemDataUsage", c.ask_for_items),
]

LIFT: Final[list[tuple[Version, str, Change]]] = [
    ((1, 25), "ContainerCreate", c.keep_when_it_ends),
    ((1, 40), "ContainerCreate", c.share_ipc),
    ((1, 40), "ContainerUpdate", c.drop_pids_limit),
    ((1, 42), "ContainerCreate", c.drop_console_size),
    ((1, 42), "ContainerCreate", c.drop_options_of_other_mounts),
    ((1, 42), "ContainerExec", c.drop_console_size),
    ((1, 43), "ContainerCreate", c.drop_annotations),
    ((1, 44), "ContainerCreate", c.one_network),
    ((1, 44), "ContainerCreate", c.drop_start_interval),
    ((1, 44), "ContainerCreate", c.shallow_read_only),
    ((1, 45), "ContainerCreate", c.refuse_subpaths),
    ((1, 48), "ContainerCreate", c.equal_gateways),
    ((1, 48), "ContainerCreate", c.refuse_image_mounts),
    ((1, 53), "ContainerCreate", c.publish_anywhere),
    ((1, 55), "ContainerUpdate", c.drop_device_limits),
]

# At every version, before the steps below.
SHAPE: Final[dict[str, Change]] = {
    "ContainerInspect": c.without_empty_settings,
    "ImageInspect": c.without_empty_origin,
}

# Newest first: each step takes the shape of its own version and gives that of the one before.
LOWER: Final[list[tuple[Version, str, Change]]] = [
    ((1, 53), "SystemDataUsage", c.data_usage_both_ways),
    ((1, 53), "SystemInfo", c.without("NRI")),
    ((1, 52), "ContainerInspect", c.default_network_fields),
    ((1, 52), "ContainerInspect", c.config_on_build),
    ((1, 52), "ContainerList", c.each(c.without("Health"))),
    ((1, 52), "ContainerStats", c.without("os_type")),
    ((1, 52), "ImageInspect", c.image_config_in_full),
    ((1, 52), "ImageInspect", c.image_origin_in_full),
    ((1, 52), "NetworkInspect", c.without("Status")),
    ((1, 52), "NetworkList", c.each(c.unlisted_containers)),
    ((1, 52), "SystemDataUsage", c.data_usage_as_lists),
    ((1, 52), "SystemDataUsage", c.of_containers(c.without("Health"))),
    ((1, 52), "SystemEvents", c.event_fields_of_old),
    ((1, 51), "ImageList", c.each(c.uncounted_containers)),
    ((1, 50), "ImageInspect", c.image_config_of_container),
    ((1, 50), "SystemInfo", c.without("DiscoveredDevices")),
    ((1, 50), "SystemInfo", c.bridge_netfilter),
    ((1, 49), "SystemInfo", c.expected_commits),
    ((1, 49), "SystemInfo", c.nondistributable),
    ((1, 49), "SystemInfo", c.without("FirewallBackend")),
    ((1, 48), "ContainerCreate", c.without_warning_of_volume_driver),
    ((1, 48), "ContainerInspect", c.without("ImageManifestDescriptor")),
    ((1, 48), "ContainerList", c.each(c.without("ImageManifestDescriptor"))),
    ((1, 48), "ImageInspect", c.without("Descriptor")),
    ((1, 48), "ImageInspect", c.without("Manifests")),
    ((1, 48), "ImageList", c.each(c.without("Descriptor"))),
    ((1, 48), "SystemDataUsage", c.without_descriptors_of_images),
    ((1, 48), "SystemDataUsage", c.of_containers(c.without("ImageManifestDescriptor"))),
    ((1, 48), "ContainerInspect", c.without_gateway_priority),
    ((1, 48), "ContainerList", c.each(c.without_gateway_priority)),
    ((1, 48), "SystemDataUsage", c.of_containers(c.without_gateway_priority)),
    ((1, 48), "NetworkInspect", c.without("EnableIPv4")),
    ((1, 48), "NetworkList", c.each(c.without("EnableIPv4"))),
    ((1, 47), "ImageList", c.each(c.without("Manifests"))),
    ((1, 46), "ContainerList", c.each(c.without_annotations)),
    ((1, 46), "SystemDataUsage", c.of_containers(c.without_annotations)),
    ((1, 46), "SystemInfo", c.without("Containerd")),
    ((1, 45), "ContainerInspect", c.short_id_among_aliases),
    ((1, 45), "ImageInspect", c.container_of_image),
    ((1, 44), "ContainerCreate", c.without_warning_of_address),
    ((1, 44), "ContainerInspect", c.without_dns_names),
    ((1, 44), "SystemDataUsage", c.of_containers(c.without_dns_names)),
    ((1, 44), "ImageInspect", c.virtual_size),
    ((1, 44), "ImageList", c.each(c.virtual_size)),
    ((1, 44), "SystemDataUsage", c.virtual_size_of_images),
    ((1, 44), "SystemInfo", c.without("CDISpecDirs")),
    ((1, 44), "SystemInfo", c.without_runtime_status),
    ((1, 43), "ImageList", c.each(c.none_tags)),
    ((1, 42), "ContainerInspect", c.kernel_memory),
    ((1, 42), "SystemDataUsage", c.builder_size),
    ((1, 42), "SystemInfo", c.kernel_memory_unlimited),
    ((1, 39), "SystemInfo", c.unknown_names),
    ((1, 25), "SystemInfo", c.bare_security_options),
    ((1, 25), "SystemInfo", c.execution_driver),
]


def offered(user_agent: str, newest: str) -> str:
    """Return the version that a client is told is the newest."""
    known = (version for program, version in OFFERED.items() if user_agent.startswith(program))
    return next(known, newest)


def lift_query(operation: str, version: Version, query: Query) -> Query:
    """Return *query* in the newest shape; it is not changed itself."""
    changes = [
        change for before, name, change in LIFT_QUERY if name == operation and version < before
    ]
    if not changes:
        return query
    lifted = {name: list(values) for name, values in query.items()}
    for change in changes:
        change(lifted)
    return lifted


def lift(operation: str, version: Version) -> Change | None:
    """Return what brings a body of *version* to the newest shape; None if nothing is to be done."""
    changes = [change for before, name, change in LIFT if name == operation and version < before]
    return _chain(changes) if changes else None


def lower(operation: str, version: Version) -> Callable[[object], object] | None:
    """Return what brings a result to the shape of *version*; None if nothing is to be done."""
    changes = [change for before, name, change in LOWER if name == operation and version < before]
    if (shape := SHAPE.get(operation)) is not None:
        changes.insert(0, shape)
    if not changes:
        return None
    apply = _chain(changes)

    def lowered(value: object) -> object:
        document = msgspec.to_builtins(value)
        apply(document)
        return document

    return lowered


def _chain(changes: list[Change]) -> Change:
    def apply(document: Document) -> None:
        for change in changes:
            change(document)

    return apply
