"""``inspect``: a container as the API shows it in full (pure, from memory)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import msgspec
from msgspec import structs

from moorage.containers import links, security_options, validate_namespaces
from moorage.containers.container import Container
from moorage.containers.parts import Parts
from moorage.containers.record import ContainerRecord, MountRecord
from moorage.containers.state import State
from moorage.lib import clock, offload
from moorage.lib.errors import NotFound
from moorage.spec.engine.container import (
    ContainerInspectResponse,
    ContainerState,
    NetworkSettings,
    PendingUpdate,
)
from moorage.spec.engine.hostconfig import HostConfig
from moorage.spec.engine.mount import MountPoint
from moorage.spec.engine.network import EndpointSettings
from moorage.spec.engine.storage import DriverData

if TYPE_CHECKING:
    from moorage.spec.engine.health import Health


async def inspect(parts: Parts, container: Container, *, size: bool) -> ContainerInspectResponse:
    """Return one container; with *size* its layers are measured."""
    shown = _shown(parts, container)
    if not size:
        return shown
    written, root = await sizes(parts, container)
    return structs.replace(shown, size_rw=written, size_root_fs=root)


async def sizes(parts: Parts, container: Container) -> tuple[int, int]:
    """Return bytes of the writable layer, and of it with the image."""
    try:
        written = await offload.run("fs", parts.layers.rw_size, container.id)
    except (NotFound, FileNotFoundError):  # removed meanwhile, or half removed
        written = 0
    return written, written + _image_size(parts, container.record.image_id)


def _image_size(parts: Parts, image_id: str) -> int:
    image = parts.images.find(image_id)
    return image.size if image else 0


def _shown(parts: Parts, container: Container) -> ContainerInspectResponse:
    record = container.record
    directory = parts.directory(record.id)
    started = bool(record.started_ns)
    return ContainerInspectResponse(
        id=record.id,
        created=clock.rfc3339(record.created_ns),
        path=record.path,
        args=record.args,
        state=state(record, container.health.current if container.health else None),
        image=record.image_id,
        resolv_conf_path=str(directory / "resolv.conf") if started else "",
        hostname_path=str(directory / "hostname") if started else "",
        hosts_path=str(directory / "hosts") if started else "",
        log_path=_log_path(record),
        name=f"/{record.name}",
        restart_count=record.restart_count,
        driver=record.driver,
        platform=record.platform,
        mount_label=record.mount_label,
        process_label=record.process_label,
        app_armor_profile=record.apparmor_profile or _asked_profile(record),
        exec_ids=sorted(i for i, e in container.execs.items() if e.running) or None,
        host_config=_host_config(parts, record),
        graph_driver=_graph_driver(parts, record),
        mounts=[mount_point(parts, m) for m in record.mounts],
        config=structs.replace(record.config, mac_address=_main_address(record)),
        network_settings=_network_settings(parts, record),
        pending_update=_pending(record),
    )


def _host_config(parts: Parts, record: ContainerRecord) -> HostConfig:
    """Return the configuration with the links of the default bridge as Docker shows them."""
    host = record.host_config
    if not host.links or validate_namespaces.is_user_defined(host.network_mode):
        return host
    shown = [
        f"/{other.name}:/{record.name}/{alias}" for other, alias in links.found(parts.store, host)
    ]
    return structs.replace(host, links=shown)


def _main_address(record: ContainerRecord) -> str:
    """Return the address that was asked for on the network of the network mode."""
    mode = record.host_config.network_mode
    settings = (record.endpoints or {}).get(mode)
    return (settings.mac_address if settings else "") or record.config.mac_address


def _asked_profile(record: ContainerRecord) -> str:
    """Return the AppArmor profile that was asked for, whether or not the kernel has AppArmor."""
    return security_options.parse(record.host_config.security_opt or []).apparmor or ""


def _log_path(record: ContainerRecord) -> str:
    """Return the file of the log, once there is one; that of ``local`` is its own affair."""
    driver = record.host_config.log_config.type if record.host_config.log_config else ""
    return record.log_path if record.started_ns and driver == "json-file" else ""


def _pending(record: ContainerRecord) -> PendingUpdate | msgspec.UnsetType:
    if record.pending is None:
        return msgspec.UNSET
    asked = structs.asdict(record.pending)
    return PendingUpdate(**{name: value for name, value in asked.items() if value is not None})


def state(record: ContainerRecord, health: Health | None) -> ContainerState:
    """Return the state with its booleans, all from one word."""
    return ContainerState(
        status=str(record.state),
        running=record.state in {State.RUNNING, State.PAUSED, State.RESTARTING},
        paused=record.state is State.PAUSED,
        restarting=record.state is State.RESTARTING,
        oom_killed=record.oom_killed,
        dead=record.state is State.DEAD,
        pid=record.pid,
        exit_code=record.exit_code,
        error=record.error,
        started_at=clock.rfc3339(record.started_ns),
        finished_at=clock.rfc3339(record.finished_ns),
        health=msgspec.UNSET if health is None else health,
    )


def mount_point(parts: Parts, mount: MountRecord) -> MountPoint:
    """Return a mount as the API shows it."""
    source = mount.source
    if mount.type == "volume":
        volume = parts.volumes.table.get(mount.name)
        source = volume.mountpoint if volume else ""
    return MountPoint(
        type=mount.type,
        name=mount.name if mount.type == "volume" else msgspec.UNSET,
        source=source,
        destination=mount.destination,
        driver=mount.driver if mount.type == "volume" else msgspec.UNSET,
        mode=mount.mode,
        rw=mount.writable,
        propagation=mount.propagation,
    )


def _graph_driver(parts: Parts, record: ContainerRecord) -> DriverData:
    return DriverData(name=record.driver, data=parts.layers.rw_data(record.id))


def _network_settings(parts: Parts, record: ContainerRecord) -> NetworkSettings:
    live = parts.networks.settings(record.id)
    return NetworkSettings(
        sandbox_id=live.sandbox_id,
        sandbox_key=live.sandbox_key,
        ports=live.ports,
        networks=networks_shown(parts, record, live.networks),
    )


def networks_shown(
    parts: Parts, record: ContainerRecord, live: Mapping[str, EndpointSettings]
) -> dict[str, EndpointSettings]:
    """Return the endpoints that there are, and those that will be or have been."""
    networks = {} if record.config.network_disabled else dict(live)
    for name, asked in configured_networks(record).items():
        if name not in networks:
            known = parts.networks.id_of(name) if record.started_ns else ""
            networks[name] = structs.replace(asked, network_id=known)
    return networks


def configured_networks(record: ContainerRecord) -> dict[str, EndpointSettings]:
    """Return the networks that a container will join, or has joined, as they were asked for.

    While none is recorded, the network mode says; after that the record is complete, so that a
    container that was taken off the network of its mode stays off it.
    """
    mode = record.host_config.network_mode
    if mode.startswith("container:") or record.config.network_disabled:
        return {}
    if record.unplugged and not record.endpoints:
        return {}
    return {
        "bridge" if name in {"", "default"} else name: settings
        for name, settings in (record.endpoints or {mode: EndpointSettings()}).items()
    }
