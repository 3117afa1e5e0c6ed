"""The steps between versions of the Engine API; ``versions.py`` says which applies where.

A document is parsed JSON, changed in place; a step must bear any field being absent, null or of
another type, for bodies come from clients. What has the wrong type is left as it is: whoever
decodes the body refuses it.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any, Final

from moorage.containers.create import MAC_ADDRESS_DEPRECATED, VOLUME_DRIVER_IGNORED
from moorage.lib.clock import ZERO
from moorage.lib.errors import InvalidParameter
from moorage.spec.engine.filters import Filters

Document = Any
Query = dict[str, list[str]]

_NO_CONTAINER_CONFIG: Final[dict[str, Document]] = {
    **dict.fromkeys(("Hostname", "Domainname", "User", "Image", "WorkingDir"), ""),
    **dict.fromkeys(("AttachStdin", "AttachStdout", "AttachStderr"), False),
    **dict.fromkeys(("Tty", "OpenStdin", "StdinOnce"), False),
    **dict.fromkeys(("Cmd", "Entrypoint", "Env", "Labels", "OnBuild", "Volumes"), None),
}
_DEFAULT_NETWORK_TEXTS: Final = (
    "EndpointID",
    "Gateway",
    "GlobalIPv6Address",
    "IPAddress",
    "IPv6Gateway",
    "MacAddress",
)
_OPTIONAL_SETTINGS: Final = {
    "Config": (
        *("ExposedPorts", "Healthcheck", "NetworkDisabled", "OnBuild"),
        *("MacAddress", "Shell", "StopSignal", "StopTimeout"),
    ),
    "HostConfig": ("Annotations", "Init", "Mounts", "StorageOpt", "Sysctls", "Tmpfs"),
}
_ORIGIN: Final = ("Parent", "Comment", "DockerVersion", "Author")
_DEFAULT_NETWORK_NUMBERS: Final = ("GlobalIPv6PrefixLen", "IPPrefixLen")


def _get(document: Document, *path: str) -> Document:
    """Return what is at *path*, with keys matched as Go does; None if anything is missing."""
    for name in path:
        if not isinstance(document, dict):
            return None
        key = _key(document, name)
        document = document.get(key)
    return document


def _key(document: dict[str, Document], name: str) -> str:
    if name in document:
        return name
    lower = name.lower()
    return next((key for key in document if key.lower() == lower), name)


def _drop(document: Document, name: str) -> None:
    if isinstance(document, dict):
        document.pop(_key(document, name), None)


def without(name: str) -> Callable[[Document], None]:
    """Return the step that takes a field out."""

    def step(document: Document) -> None:
        _drop(document, name)

    return step


def each(step: Callable[[Document], None]) -> Callable[[Document], None]:
    """Return the step that does *step* to every item of a list."""

    def every(document: Document) -> None:
        for item in document or ():
            step(item)

    return every


def of_containers(step: Callable[[Document], None]) -> Callable[[Document], None]:
    """Return the step that does *step* to the containers that ``system df`` lists."""

    def every(usage: Document) -> None:
        each(step)(_get(usage, "Containers"))

    return every


# -- queries -----------------------------------------------------------------------------------


def _add_filter(query: Query, name: str, value: str) -> None:
    terms = Filters.parse((query.get("filters") or [""])[0]).terms
    query["filters"] = [json.dumps({name: [value], **terms})]


def unasked(name: str) -> Callable[[Query], None]:
    """Return the step that drops a parameter that was unknown, and so without effect."""

    def step(query: Query) -> None:
        query.pop(name, None)

    return step


def wait_for_not_running(query: Query) -> None:
    """Conditions were unknown: the container had only to stop."""
    query.pop("condition", None)


def image_filter_to_filters(query: Query) -> None:
    """``filter=NAME`` is ``reference``."""
    for name in query.pop("filter", []):
        _add_filter(query, "reference", name)


def attach_all_streams(query: Query) -> None:
    """The WebSocket gave all streams, whatever was asked for."""
    query.update(stdin=["1"], stdout=["1"], stderr=["1"])


def prune_all_volumes(query: Query) -> None:
    """Named volumes were pruned too."""
    _add_filter(query, "all", "true")


def keep_storage_to_reserved_space(query: Query) -> None:
    """The parameter has a new name."""
    if "keep-storage" in query:
        query.setdefault("reserved-space", query.pop("keep-storage"))


def ask_for_items(query: Query) -> None:
    """The lists came always."""
    query["verbose"] = ["1"]


# -- bodies ------------------------------------------------------------------------------------


def _mapping(value: Document) -> dict[str, Document]:
    return value if isinstance(value, dict) else {}


def _host_config(body: Document) -> dict[str, Document]:
    return _mapping(_get(body, "HostConfig"))


def _mounts(body: Document) -> Iterator[tuple[str, Document]]:
    """Yield (type, mount) of the new kind of mounts."""
    mounts = _get(body, "HostConfig", "Mounts")
    for mount in mounts if isinstance(mounts, list) else ():
        if isinstance(mount, dict):
            yield str(_get(mount, "Type") or ""), mount


def _endpoints(body: Document) -> dict[str, Document]:
    return _mapping(_get(body, "NetworkingConfig", "EndpointsConfig"))


def keep_when_it_ends(body: Document) -> None:
    """It was the client that removed the container of a ``run --rm``."""
    _drop(_host_config(body), "AutoRemove")


def share_ipc(body: Document) -> None:
    """The default IPC mode was shareable."""
    if not isinstance(_get(body, "HostConfig"), dict | None) or not isinstance(body, dict):
        return
    host_config = _host_config(body)
    if not _get(host_config, "IpcMode"):
        host_config[_key(host_config, "IpcMode")] = "shareable"
        body[_key(body, "HostConfig")] = host_config
    for _, mount in _mounts(body):
        _drop(_get(mount, "BindOptions"), "NonRecursive")


def drop_pids_limit(body: Document) -> None:
    """The limit could not be updated."""
    _drop(body, "PidsLimit")


def drop_console_size(body: Document) -> None:
    """The size was ignored, and so was the wish to make a missing source of a bind mount."""
    _drop(body, "ConsoleSize")
    _drop(_host_config(body), "ConsoleSize")
    for _, mount in _mounts(body):
        _drop(_get(mount, "BindOptions"), "CreateMountpoint")


def drop_options_of_other_mounts(body: Document) -> None:
    """Options of another type of mount than its own were not looked at."""
    for kind, mount in _mounts(body):
        for option, its in (("VolumeOptions", "volume"), ("TmpfsOptions", "tmpfs")):
            if kind != its:
                _drop(mount, option)


def drop_annotations(body: Document) -> None:
    """Annotations were ignored."""
    _drop(_host_config(body), "Annotations")


def shallow_read_only(body: Document) -> None:
    """A read-only bind mount left the mounts below it writable.

    Raises: InvalidParameter, if it was to be more than that.
    """
    for kind, mount in _mounts(body):
        if kind != "bind":
            continue
        key = _key(mount, "BindOptions")
        options = mount.get(key) or {}
        if not isinstance(options, dict):
            continue
        if _get(options, "ReadOnlyForceRecursive"):
            raise InvalidParameter("BindOptions.ReadOnlyForceRecursive needs API v1.44 or newer")
        if _get(mount, "ReadOnly"):
            mount[key] = {**options, "ReadOnlyNonRecursive": True}


def one_network(body: Document) -> None:
    """A container began on one network, with the address of the container itself if any.

    Raises: InvalidParameter (several networks, an address where there is no network).
    """
    endpoints = _endpoints(body)
    if len(endpoints) > 1:
        raise InvalidParameter(
            "Container cannot be created with multiple network endpoints: " + ", ".join(endpoints)
        )
    mode = _get(body, "HostConfig", "NetworkMode") or ""
    if _get(body, "MacAddress") and (mode in {"host", "none"} or mode.startswith("container:")):
        raise InvalidParameter("conflicting options: mac-address and the network mode")
    if not _get(body, "MacAddress"):
        each(without("MacAddress"))(endpoints.values())


def drop_start_interval(body: Document) -> None:
    """A health check had one interval."""
    _drop(_get(body, "Healthcheck"), "StartInterval")


def refuse_subpaths(body: Document) -> None:
    """Volumes were mounted whole. Raises: InvalidParameter, for a part alone is not the whole."""
    for _, mount in _mounts(body):
        if _get(mount, "VolumeOptions", "Subpath"):
            raise InvalidParameter("VolumeOptions.Subpath needs API v1.45 or newer")


def equal_gateways(body: Document) -> None:
    """No network had a better claim to the default route than others."""
    each(without("GwPriority"))(_endpoints(body).values())


def refuse_image_mounts(body: Document) -> None:
    """Images were no mounts. Raises: InvalidParameter."""
    if any(kind == "image" for kind, _ in _mounts(body)):
        raise InvalidParameter('Mount type "Image" needs API v1.48 or newer')


def publish_anywhere(body: Document) -> None:
    """An empty list of places published the port at any free one."""
    bindings = _mapping(_get(_host_config(body), "PortBindings"))
    for port, places in bindings.items():
        bindings[port] = places or [{}]


def drop_device_limits(body: Document) -> None:
    """What a device may do could not be updated."""
    _drop(body, "BlkioWeightDevice")
    for what in ("ReadBps", "WriteBps", "ReadIOps", "WriteIOps"):
        _drop(body, f"BlkioDevice{what}")


# -- results -----------------------------------------------------------------------------------


def without_empty_settings(container: Document) -> None:
    """Go's ``omitempty``: some settings are left out where they say nothing, others are null."""
    for part, names in _OPTIONAL_SETTINGS.items():
        settings = container.get(part) or {}
        for name in names:
            if settings.get(name) in (None, "", [], {}):
                settings.pop(name, None)
        if not settings.get("NetworkDisabled"):
            settings.pop("NetworkDisabled", None)


def without_empty_origin(image: Document) -> None:
    """What is not known of where an image comes from is left out."""
    for name in _ORIGIN:
        if not image.get(name):
            image.pop(name, None)


def default_network_fields(container: Document) -> None:
    """The settings of the default network stood beside the list of networks."""
    settings = _get(container, "NetworkSettings")
    if not isinstance(settings, dict):
        return
    bridge = _get(settings, "Networks", "bridge") or {}
    settings.update({name: bridge.get(name) or "" for name in _DEFAULT_NETWORK_TEXTS})
    settings.update({name: bridge.get(name) or 0 for name in _DEFAULT_NETWORK_NUMBERS})
    settings.update(
        Bridge="",
        HairpinMode=False,
        LinkLocalIPv6Address="",
        LinkLocalIPv6PrefixLen=0,
        SecondaryIPAddresses=None,
        SecondaryIPv6Addresses=None,
    )


def config_on_build(container: Document) -> None:
    """``OnBuild`` was there when empty."""
    config = _get(container, "Config")
    if isinstance(config, dict):
        config.setdefault("OnBuild", None)
        for name in ("Labels", "StopSignal", "StopTimeout", "Shell"):  # they stand behind it
            if name in config:
                config[name] = config.pop(name)


def image_config_in_full(image: Document) -> None:
    """Fields of the config were there when empty."""
    config = _get(image, "Config")
    if isinstance(config, dict):
        for name in ("Cmd", "Entrypoint", "Env", "Labels", "OnBuild", "Volumes"):
            config.setdefault(name, None)
        for name in ("User", "WorkingDir"):
            config.setdefault(name, "")


def image_origin_in_full(image: Document) -> None:
    """Fields of the image were there when empty."""
    for name in _ORIGIN:
        image[name] = image.get(name) or ""


def image_config_of_container(image: Document) -> None:
    """The config had the fields of a container's, all empty."""
    config = _get(image, "Config")
    if isinstance(config, dict):
        for name in ("Hostname", "Domainname", "Image"):
            config.setdefault(name, "")
        for name in (
            *("AttachStdin", "AttachStdout", "AttachStderr"),
            *("Tty", "OpenStdin", "StdinOnce"),
        ):
            config.setdefault(name, False)


def container_of_image(image: Document) -> None:
    """The container that an image was made of, which only the oldest builders knew."""
    image.update(Container="", ContainerConfig={**_NO_CONTAINER_CONFIG})


def virtual_size(image: Document) -> None:
    """The size stood there twice; an unknown time of creation was Go's zero time."""
    image["VirtualSize"] = image.get("Size", 0)
    if image.get("Created", "") is None:
        image["Created"] = ZERO


def virtual_size_of_images(usage: Document) -> None:
    """As ``virtual_size``."""
    each(virtual_size)(_get(usage, "Images"))


def without_descriptors_of_images(usage: Document) -> None:
    """The images showed no manifests."""
    each(without("Descriptor"))(_get(usage, "Images"))


def unlisted_containers(network: Document) -> None:
    """A listed network had the field, but not what belongs into it."""
    network["Containers"] = {}


def none_tags(image: Document) -> None:
    """An image without any name had names for that."""
    if not image.get("RepoTags") and not image.get("RepoDigests"):
        image.update(RepoTags=["<none>:<none>"], RepoDigests=["<none>@<none>"])


def uncounted_containers(image: Document) -> None:
    """The containers of an image were not counted."""
    image["Containers"] = -1


def without_annotations(container: Document) -> None:
    """A listed container did not show its annotations."""
    _drop(_get(container, "HostConfig"), "Annotations")


def short_id_among_aliases(container: Document) -> None:
    """The short id of the container was one of its aliases on user-defined networks."""
    short = str(container.get("Id", ""))[:12]
    for name, endpoint in (_get(container, "NetworkSettings", "Networks") or {}).items():
        if name not in {"bridge", "host", "none"} and isinstance(endpoint, dict):
            endpoint["Aliases"] = [*(endpoint.get("Aliases") or []), short]


def without_dns_names(container: Document) -> None:
    """Endpoints did not list their names."""
    for endpoint in (_get(container, "NetworkSettings", "Networks") or {}).values():
        _drop(endpoint, "DNSNames")


def without_gateway_priority(container: Document) -> None:
    """Which of the networks leads outwards could not be chosen."""
    for endpoint in (_get(container, "NetworkSettings", "Networks") or {}).values():
        _drop(endpoint, "GwPriority")


def kernel_memory(container: Document) -> None:
    """Limits of kernel memory were shown when not set."""
    host_config = _get(container, "HostConfig")
    if isinstance(host_config, dict):
        host_config.update(KernelMemory=0, KernelMemoryTCP=0)


_USAGE_LISTS: Final = {
    "Images": "ImageUsage",
    "Containers": "ContainerUsage",
    "Volumes": "VolumeUsage",
    "BuildCache": "BuildCacheUsage",
}


def data_usage_both_ways(usage: Document) -> None:
    """The lists of old stood beside what has taken their place."""
    images = _get(usage, "ImageUsage")
    usage["LayersSize"] = 0 if images is None else images.get("TotalSize", 0)
    for name, successor in _USAGE_LISTS.items():
        kind = _get(usage, successor)
        usage[name] = None if kind is None else kind.get("Items") or []


def data_usage_as_lists(usage: Document) -> None:
    """Every kind was a list, and clients added up the sizes."""
    for successor in _USAGE_LISTS.values():
        _drop(usage, successor)


def builder_size(usage: Document) -> None:
    """The builder's size stood apart, and a record of its cache had one parent."""
    usage["BuilderSize"] = 0
    for record in _get(usage, "BuildCache") or ():
        record["Parent"] = next(iter(record.get("Parents") or ()), "")


def event_fields_of_old(event: Document) -> None:
    """Events of containers and images had three fields more."""
    if event.get("Type") not in {"container", "image"}:
        return
    event["status"] = event.get("Action", "")
    if identity := _get(event, "Actor", "ID"):  # a prune has none
        event["id"] = identity
    if image := _get(event, "Actor", "Attributes", "image"):
        event["from"] = image


def bridge_netfilter(info: Document) -> None:
    """Whether bridges are filtered: yes, by rules of ours; "no" makes old clients warn."""
    info.update(BridgeNfIptables=True, BridgeNfIp6tables=True)


def expected_commits(info: Document) -> None:
    """Each commit stood beside the one that was expected."""
    for name in ("ContainerdCommit", "RuncCommit", "InitCommit"):
        commit = info.get(name)
        if isinstance(commit, dict):
            commit["Expected"] = commit.get("ID", "")


def nondistributable(info: Document) -> None:
    """Registries that foreign layers may be pushed to."""
    registry = info.get("RegistryConfig")
    if isinstance(registry, dict):
        registry["AllowNondistributableArtifactsCIDRs"] = []
        registry["AllowNondistributableArtifactsHostnames"] = []


def without_runtime_status(info: Document) -> None:
    """Runtimes had no status."""
    for runtime in (info.get("Runtimes") or {}).values():
        _drop(runtime, "status")


def unknown_names(info: Document) -> None:
    """What could not be learnt was ``<unknown>``."""
    for name in ("KernelVersion", "OperatingSystem"):
        info[name] = info.get(name) or "<unknown>"


def kernel_memory_unlimited(info: Document) -> None:
    """Whether the kernel's memory could be limited: it cannot."""
    info.update(KernelMemory=False, KernelMemoryTCP=False)


def without_warning_of_volume_driver(created: Document) -> None:
    """That a volume driver does not count for mounts was the client's to say."""
    _drop_warning(created, VOLUME_DRIVER_IGNORED)


def without_warning_of_address(created: Document) -> None:
    """The address of the container itself was how to give one."""
    _drop_warning(created, MAC_ADDRESS_DEPRECATED)


def _drop_warning(created: Document, sentence: str) -> None:
    if warnings := _get(created, "Warnings"):
        created["Warnings"] = [text for text in warnings if text != sentence]


def execution_driver(info: Document) -> None:
    """There was a field for what had run containers before there were runtimes."""
    info["ExecutionDriver"] = "<not supported>"


def bare_security_options(info: Document) -> None:
    """Only the names: ``name=seccomp,profile=default`` was ``seccomp``."""
    info["SecurityOptions"] = [
        option.partition(",")[0].removeprefix("name=")
        for option in info.get("SecurityOptions") or ()
    ]
