"""How each domain is made and opened; ``wiring.py`` says in which order."""

from __future__ import annotations

import logging
from collections.abc import Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from moorage.build import assembly, foundation, neighbours, streams
from moorage.build.foundation import Foundation, Roots
from moorage.buildkit import service as buildkit
from moorage.cdi.directories import Directories
from moorage.containers import host_facts
from moorage.containers.parts import Parts
from moorage.containers.service import Containers
from moorage.containers.store import ContainerStore
from moorage.daemon import domain_settings as settings
from moorage.daemon import remap
from moorage.daemon.config import Config
from moorage.daemon.identity import boot_id
from moorage.events.bus import Bus
from moorage.images.operations import Parts as ImageParts
from moorage.images.pull import Pulls
from moorage.images.push import Pushes
from moorage.images.service import Images
from moorage.images.store import ImageStore
from moorage.kernel.idmap import IdMap
from moorage.lib import offload
from moorage.lib.errors import NotFound, System
from moorage.lib.httpclient import HttpClient
from moorage.lib.tasks import Supervisor
from moorage.lib.version import VERSION
from moorage.networks.service import Networks
from moorage.plugins.discovery import Discovery
from moorage.plugins.registry import Plugins
from moorage.registry.registries import Registries
from moorage.runtime import cgrouppath, userns
from moorage.runtime.service import Runtime
from moorage.storage.content import ContentStore
from moorage.storage.durability import Durability
from moorage.storage.layers import LayerStore
from moorage.storage.leases import Leases
from moorage.storage.metadata import Database
from moorage.storage.snapshots.choose import choose
from moorage.volumes.service import Volumes

if TYPE_CHECKING:
    from moorage.build.streams import BuildStreams
    from moorage.buildkit.service import BuildKit

log = logging.getLogger(__name__)
DATABASE: Final = "moorage.db"  # below the data-root
_USER_AGENT = f"moorage/{VERSION}"


@dataclass(slots=True)
class Common:
    """What every domain is given."""

    config: Config  # in force; replaced on reload
    data_root: Path
    exec_root: Path
    stack: AsyncExitStack  # closes what is opened, in reverse
    database: Database
    events: Bus
    background: Supervisor
    plugins: Plugins
    cdi: Directories  # of files that describe devices
    owners: IdMap | None  # which users of the host those of containers are; None: the same


@dataclass(slots=True)
class OomRelay:
    """Tells of a container that ran out of memory; the containers are made after the runtime."""

    containers: Containers | None = None

    def __call__(self, container_id: str) -> None:
        """Announce it."""
        if self.containers is not None:
            container = self.containers.get(container_id)
            self.containers.parts.announce(container, "oom")


async def common_parts(config: Config, stack: AsyncExitStack, stored: Path | None = None) -> Common:
    """Open the database, that of the data-root or *stored*, and what else all domains share."""
    data_root = Path(config.data_root)
    database = Database(stored or data_root / DATABASE)
    stack.callback(database.close)
    background = Supervisor("background")
    stack.push_async_callback(background.close)
    plugins = Plugins(Discovery(), user_agent=_USER_AGENT)
    stack.push_async_callback(plugins.close)
    return Common(
        config=config,
        data_root=data_root,
        exec_root=Path(config.exec_root),
        stack=stack,
        database=database,
        events=Bus(),
        background=background,
        plugins=plugins,
        cdi=Directories(settings.cdi_directories(config)),
        owners=await remap.resolve(config.userns_remap),
    )


async def image_store(common: Common) -> ImageStore:
    """Open blobs, layers and images on the storage driver that is configured or fits."""
    root, database = common.data_root, common.database
    failed = common.exec_root / "disk-failed"
    durability = Durability(database, root, boot=boot_id(), failed=failed)
    common.stack.callback(durability.close)
    options = settings.storage_options(common.config)
    driver = await offload.run("fs", choose, root / "layers", common.config.storage_driver, options)
    log.info("storage driver %s", driver.name)
    content = ContentStore(root / "content", durability)
    layers = LayerStore(driver=driver, database=database, content=content, durability=durability)
    await offload.run("fs", layers.open)
    if common.owners is not None:
        await _map_owners(common, layers, common.owners)
    images = ImageStore(database=database, content=content, layers=layers)
    images.open()
    return images


async def _map_owners(common: Common, layers: LayerStore, owners: IdMap) -> None:
    """Have the layers seen with the owners that containers' files have on the host."""
    remap.require_way(common.data_root, owners)
    place = common.exec_root / "mapped" / "layers"
    try:
        async with userns.lend(*owners.texts()) as lent:
            await offload.run("fs", layers.driver.map_owners, owners, place, lent.user)
    except OSError as error:
        raise System(
            f"userns-remap: cannot make a user namespace: {error.strerror or error}",
            hint="see /proc/sys/user/max_user_namespaces and the kernel's CONFIG_USER_NS",
        ) from error
    layers.owners = owners
    log.info("users of containers are those of the host from %d on", owners.root[0])


async def volumes(common: Common) -> Volumes:
    """Open the volumes."""
    opened = Volumes(
        root=common.data_root / "volumes",
        exec_root=common.exec_root,
        database=common.database,
        events=common.events,
        plugins=common.plugins,
        supervisor=common.background,
    )
    await opened.open()
    common.stack.push_async_callback(opened.close)
    return opened


async def networks(common: Common) -> Networks:
    """Open the networks; those of running containers are adopted."""
    opened = Networks(
        config=settings.networks_config(common.config),
        database=common.database,
        events=common.events,
        supervisor=common.background,
        plugins=common.plugins,
    )
    common.stack.push_async_callback(opened.close)
    await opened.open()
    return opened


async def runtime(common: Common, on_oom: OomRelay) -> Runtime:
    """Open the runtime."""
    opened = Runtime(
        exec_root=common.exec_root,
        state_root=common.data_root / "runtime",
        runtimes=settings.runtime_configs(common.config),
        default=common.config.default_runtime or "crun",
        supervisor=common.background,
        on_oom=on_oom,
        cgroup_driver=settings.cgroup_driver(common.config),
        selinux=common.config.selinux_enabled,
    )
    common.stack.push_async_callback(opened.close)
    await opened.open()
    cgrouppath.check_parent(opened.fitness.cgroup_driver, common.config.cgroup_parent)
    for warning in opened.warnings:
        log.warning("%s", warning)
    return opened


async def containers(common: Common, parts: Parts) -> Containers:
    """Open the containers: what runs is adopted, what was cut off is finished."""
    opened = Containers(parts)
    await opened.open()
    common.stack.push_async_callback(opened.close)
    return opened


def container_parts(
    common: Common, images: ImageStore, volumes: Volumes, networks: Networks, runtime: Runtime
) -> Parts:
    """Put together what the operations on containers need."""
    facts, resources = host_facts.examine(runtime)
    driver = images.layers.driver.name
    return Parts(
        settings=settings.container_settings(
            common.config, storage_driver=driver, owners=common.owners
        ),
        facts=facts,
        resources=resources,
        store=ContainerStore(common.database),
        runtime=runtime,
        layers=images.layers,
        images=images,
        networks=networks,
        volumes=volumes,
        cdi=common.cdi,
        events=common.events,
        supervisor=common.background,
    )


def registries(common: Common) -> Registries:
    """Make the way to registries; connections are made when first used."""
    made = Registries(lambda: settings.registry_settings(common.config), user_agent=_USER_AGENT)
    common.stack.push_async_callback(made.close)
    return made


def image_parts(common: Common, store: ImageStore, containers: Containers) -> ImageParts:
    """Put together what the operations on images need."""
    parts = ImageParts(
        store=store,
        content=store.content,
        layers=store.layers,
        leases=Leases(common.database),
        events=common.events,
        supervisor=common.background,
        durability=store.content.durability,
        users=containers,
    )
    containers.parts.image_parts = parts
    return parts


def images(common: Common, parts: ImageParts, registries: Registries) -> Images:
    """Make the operations on images; opened once all domains hold their leases again."""
    pulls = Pulls(
        store=parts.store,
        leases=parts.leases,
        registries=registries,
        owner=common.background,
        events=common.events,
        collect=parts.collect,
    )
    pushes = Pushes(
        store=parts.store,
        leases=parts.leases,
        database=common.database,
        registries=registries,
        owner=common.background,
        events=common.events,
    )
    return Images(parts, pulls, pushes)


async def build_foundation(
    common: Common, images: ImageParts, networks: Networks, runtime: Runtime
) -> Foundation:
    """Open the build cache."""
    return await foundation.lay(
        roots=Roots(data=common.data_root / "build", exec=common.exec_root / "build"),
        database=common.database,
        images=images,
        runtime=runtime,
        leave=networks.leave,
        supervisor=common.background,
        settings=settings.builder_settings(common.config, images.store.host),
    )


def builds(
    common: Common,
    ground: Foundation,
    *,
    registry: Images,
    repositories: Registries,
    networks: Networks,
) -> Callable[[], BuildStreams]:
    """Return what makes the builder: few daemons build, and it is as large as the containers."""
    client = HttpClient(user_agent=_USER_AGENT)
    common.stack.push_async_callback(client.close)

    def make() -> BuildStreams:
        builder = assembly.assemble(
            ground,
            networks=neighbours.DaemonNetworks(networks),
            cdi=common.cdi,
            client=client,
            supervisor=common.background,
            registry=registry,
            repositories=repositories,
        )
        return streams.BuildStreams(builder, common.background)

    return make


def buildkits(common: Common, networks: Networks) -> Callable[[BuildStreams], BuildKit]:
    """Return what makes BuildKit's protocol: few daemons are asked for it."""

    def host_gateway() -> str:
        if common.config.host_gateway_ips:
            return common.config.host_gateway_ips[0]
        try:
            ipam = networks.inspect("bridge").ipam
        except NotFound:  # --bridge none
            return ""
        pools = ipam.config if ipam is not None else None
        return next((pool.gateway for pool in pools or () if pool.gateway), "")

    return lambda streams: buildkit.BuildKit(streams.builder, host_gateway)
