"""``create``: everything a container owns on disk; nothing runs yet."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import AsyncExitStack, suppress
from typing import TYPE_CHECKING, Final

from msgspec import structs

from moorage.containers import (
    capabilities,
    defaults,
    devices,
    files,
    labelling,
    links,
    merge,
    mount_spec,
    names,
    own_mounts,
    remapping,
    security_options,
    validate_config,
    validate_namespaces,
    validate_resources,
)
from moorage.containers.container import Container
from moorage.containers.parts import Parts
from moorage.containers.record import ContainerRecord, Intent, MountRecord
from moorage.containers.sandbox import request_for
from moorage.images import variants
from moorage.lib import atomicfile, clock, ids, offload
from moorage.lib.errors import InvalidParameter, NotFound
from moorage.lib.failpoint import failpoint
from moorage.logs import options as log_options
from moorage.runtime import defaults as runtime_defaults
from moorage.spec import platforms
from moorage.spec.engine.container import ContainerConfig, ContainerCreateResponse
from moorage.spec.engine.hostconfig import HostConfig
from moorage.spec.engine.network import EndpointSettings
from moorage.spec.platforms import Platform

if TYPE_CHECKING:
    from moorage.images.image import Image

VOLUME_DRIVER_IGNORED: Final = (
    "WARNING: the container-wide volume-driver configuration is ignored for volumes specified via"
    " 'mount'. Use '--mount type=volume,volume-driver=...' instead"
)
MAC_ADDRESS_DEPRECATED: Final = (
    "The container-wide MacAddress field is now deprecated."
    " It should be specified in EndpointsConfig instead."
)
_FILE_LOG_DRIVERS = frozenset({"json-file", "local"})


async def create(
    parts: Parts,
    *,
    name: str,
    config: ContainerConfig,
    host_config: HostConfig,
    endpoints: dict[str, EndpointSettings],
    platform: Platform | None = None,
) -> ContainerCreateResponse:
    """Create a container.

    Events: ``create``; ``volume create`` for new volumes.
    Raises: InvalidParameter, NotFound (image, container to join), Conflict (name).
    Cancel: no effect when run by the service.
    """
    image = await _image(parts, config.image, platform) if config.image else None
    parts.runtime.expect_task()
    container_id = ids.new_id()
    record, warnings = _plan(parts, container_id, config, host_config, image)
    if platform is None and image is not None:
        warnings += _of_another_machine(image.config.platform, parts.images.host)
    options = security_options.parse(record.host_config.security_opt or [])
    labels = parts.runtime.selinux.take(options.labels)
    record = structs.replace(
        record,
        process_label=labels.process,
        mount_label=labels.mount,
        name=names.normalise(name) if name else names.invent(parts.store.name_taken, container_id),
        endpoints=_with_main_address(record, endpoints),
    )
    if record.config.mac_address:
        warnings = [*warnings, MAC_ADDRESS_DEPRECATED]
    parts.networks.validate(request_for(record, []))
    container = Container(record)
    async with container.lock:
        await _make(parts, container, image)
    parts.announce(container, "create")
    return ContainerCreateResponse(id=container_id, warnings=warnings)


def _with_main_address(
    record: ContainerRecord, endpoints: dict[str, EndpointSettings]
) -> dict[str, EndpointSettings]:
    """Return *endpoints* with the container-wide address at the network of the network mode.

    Raises: InvalidParameter (that network is given another one).
    """
    address, mode = record.config.mac_address, record.host_config.network_mode
    joins = mode == "bridge" or validate_namespaces.is_user_defined(mode)
    if not address or not joins or record.config.network_disabled:
        return endpoints
    own = {mode, "default"} if mode == "bridge" else {mode}
    main = next((name for name in endpoints if name in own), None)
    if main is None:
        return endpoints or {mode: EndpointSettings(mac_address=address)}
    given = endpoints[main].mac_address
    if given and given != address:
        raise InvalidParameter(
            "the container-wide MAC address must match the endpoint-specific MAC address for the"
            " main network, or be left empty"
        )
    return {**endpoints, main: structs.replace(endpoints[main], mac_address=address)}


async def _image(parts: Parts, ref: str, platform: Platform | None) -> Image:
    """Return the image to run; one of another platform may have to be unpacked first."""
    if platform is None:
        return parts.images.resolve(ref)
    return await offload.run("fs", variants.unpack, parts.image_parts, ref, platform)


def _of_another_machine(offered: Platform, host: Platform) -> list[str]:
    """Warn, in Docker's sentence, of an image that this machine can only run by an emulator."""
    if not offered.architecture or platforms.matches(host, offered):
        return []
    said = f"The requested image's platform ({offered}) does not match the detected host platform"
    return [f"{said} ({host}) and no specific platform was requested"]


def _plan(
    parts: Parts,
    container_id: str,
    config: ContainerConfig,
    given: HostConfig,
    image: Image | None,
) -> tuple[ContainerRecord, list[str]]:
    """Check everything and decide everything; nothing is changed."""
    config = merge.with_image(config, image.config.config if image else None)
    validate_config.check(config, given)
    validate_namespaces.check(config, given)
    if parts.settings.owners is not None:
        remapping.check(given)
    devices.check_mappings(given.devices or [])
    devices.parse_rules(given.device_cgroup_rules or [])
    security_options.parse(given.security_opt or [])
    given = structs.replace(
        given,
        cap_add=_capabilities(given.cap_add, "CapAdd"),
        cap_drop=_capabilities(given.cap_drop, "CapDrop"),
    )
    if given.runtime and given.runtime not in parts.runtime.fitness.runtimes:
        raise InvalidParameter(f"unknown or invalid runtime name: {given.runtime}")
    given, warnings = validate_resources.check(given, parts.resources)
    warnings = [*warnings, *_without_effect(given)]
    host = defaults.host_config(
        given,
        parts.settings,
        runtime=parts.runtime.fitness.default,
        cgroup_v2=parts.facts.cgroup_v2,
    )
    if host.log_config is not None:
        driver, options = host.log_config.type, host.log_config.config or {}
        log_options.validate(driver, runtime_defaults.log_options(driver, options))
    if parts.runtime.selinux.enabled:
        host = structs.replace(host, security_opt=labelling.security_opt(parts, host))
    links.check(parts.store, host)
    host = structs.replace(_joined_by_id(parts, host), links=links.by_id(parts.store, host))
    inherited: list[MountRecord] = []
    for text in host.volumes_from or []:
        reference, writable = mount_spec.parse_volumes_from(text)
        inherited += mount_spec.inherit(_other(parts, reference).record.mounts, writable=writable)
    path, args = merge.command(config)
    record = ContainerRecord(
        id=container_id,
        name="",
        created_ns=clock.now_ns(),
        image_id=image.id if image else "",
        config=_with_hostname(config, host, container_id),
        host_config=host,
        path=path,
        args=args,
        mounts=mount_spec.with_propagation(
            mount_spec.plan(config, host, inherited), str(parts.settings.data_root)
        ),
        driver=parts.settings.storage_driver,
        log_path=_log_path(parts, host, container_id),
        intent=Intent.CREATE,
    )
    return record, warnings


def _without_effect(given: HostConfig) -> Iterator[str]:
    """Yield a warning for each setting that another one makes void."""
    if given.network_mode == "host" and given.port_bindings:
        yield validate_config.DISCARDED_PORTS
    if given.volume_driver and any(
        mount.type == "volume"
        and not (
            mount.volume_options
            and mount.volume_options.driver_config
            and mount.volume_options.driver_config.name
        )
        for mount in given.mounts or ()
    ):
        yield VOLUME_DRIVER_IGNORED


def _other(parts: Parts, reference: str) -> Container:
    """Return a container the body names; if it is not there, the body is wrong (400, as Docker)."""
    try:
        return parts.store.get(reference)
    except NotFound as error:
        raise InvalidParameter(error.message) from error


def _joined_by_id(parts: Parts, host: HostConfig) -> HostConfig:
    """Return *host* with ids for the containers whose namespaces are joined: names may change.

    Raises: InvalidParameter (no container to share processes or IPC with).
    """

    def by_id(mode: str) -> str:
        reference = validate_namespaces.joined_container(mode)
        return mode if reference is None else f"container:{_other(parts, reference).id}"

    network_mode = host.network_mode
    with suppress(InvalidParameter):  # that one is missed at the start, as by Docker
        network_mode = by_id(network_mode)
    return structs.replace(
        host,
        network_mode=network_mode,
        pid_mode=by_id(host.pid_mode),
        ipc_mode=by_id(host.ipc_mode),
    )


def _capabilities(given: list[str] | None, option: str) -> list[str] | None:
    return capabilities.normalise(given, option) if given else given


def _with_hostname(config: ContainerConfig, host: HostConfig, container_id: str) -> ContainerConfig:
    if config.hostname:
        return config
    if host.network_mode == "host":
        return structs.replace(config, hostname=os.uname().nodename)
    if validate_namespaces.joined_container(host.network_mode):
        return config  # the name is the other's
    return structs.replace(config, hostname=ids.short(container_id))


def _log_path(parts: Parts, host: HostConfig, container_id: str) -> str:
    driver = host.log_config.type if host.log_config else ""
    if driver not in _FILE_LOG_DRIVERS:
        return ""
    directory = parts.directory(container_id)
    if driver == "local":
        return str(directory / "local-logs" / "container.log")
    return str(directory / f"{container_id}-json.log")


async def _make(parts: Parts, container: Container, image: Image | None) -> None:
    """Make what the record says, all or nothing.

    *Preconditions*: the caller holds the lock of *container*, which nobody else knows yet.
    """
    record = container.record
    async with AsyncExitStack() as undo:
        parts.store.insert(container)
        undo.callback(parts.store.delete, container)
        failpoint("containers.create.after_intent")
        directory = parts.directory(record.id)
        undo.callback(atomicfile.remove_tree, directory)
        files.make_directory(directory)
        failpoint("containers.create.after_directory")
        undo.push_async_callback(offload.run, "fs", parts.layers.remove_rw, record.id)
        await offload.run(
            "fs",
            parts.layers.create_rw,
            record.id,
            parent=image.chain_id if image else None,
            storage_opt=record.host_config.storage_opt or {},
            mapped=record.host_config.userns_mode != "host",
            label=record.mount_label,
        )
        failpoint("containers.create.after_layer")
        mounts = await own_mounts.make(parts, record.id, record.mounts, undo)
        failpoint("containers.create.after_volumes")
        await own_mounts.fill(parts, record.id, mounts)
        own_mounts.check_images(parts, mounts)
        failpoint("containers.create.before_commit")
        parts.store.change(container, mounts=mounts, intent=Intent.NONE)
        undo.pop_all()
