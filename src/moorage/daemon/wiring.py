"""The composition root: every domain is made here, and closed in the reverse order."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path

from moorage.build.assembly import Roots, assemble
from moorage.build.neighbours import DaemonNetworks
from moorage.build.service import Settings as BuilderSettings
from moorage.build.streams import BuildStreams
from moorage.containers import host_facts
from moorage.containers.parts import Parts
from moorage.containers.service import Containers
from moorage.containers.state import State
from moorage.containers.store import ContainerStore
from moorage.daemon import domain_settings as settings
from moorage.daemon.config import Config
from moorage.daemon.identity import boot_id, daemon_id
from moorage.daemon.imageusers import UsersOfImages
from moorage.daemon.reload import Apply
from moorage.engine.engine import Engine
from moorage.engine.system import Counts, Reports, RuntimeVersion, System
from moorage.events.bus import Bus
from moorage.images.operations import Parts as ImageParts
from moorage.images.service import Images
from moorage.images.store import ImageStore
from moorage.kernel import spawn
from moorage.lib import offload
from moorage.lib.httpclient import HttpClient
from moorage.lib.tasks import Supervisor
from moorage.lib.version import VERSION
from moorage.logs import options as log_options
from moorage.networks.service import Networks
from moorage.plugins.discovery import Discovery
from moorage.plugins.registry import Plugins
from moorage.runtime.service import Runtime
from moorage.storage.content import ContentStore
from moorage.storage.durability import Durability
from moorage.storage.layers import LayerStore
from moorage.storage.leases import Leases
from moorage.storage.metadata import Database
from moorage.storage.snapshots.choose import choose
from moorage.volumes.service import Volumes

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Wired:
    """The engine, the plugins, and what is told of a reloaded configuration."""

    engine: Engine
    plugins: Plugins
    reload: Sequence[Apply]


@dataclass(frozen=True, slots=True)
class Common:
    """What every domain is given."""

    config: Config
    data_root: Path
    exec_root: Path
    stack: AsyncExitStack  # closes what is opened, in reverse
    database: Database
    events: Bus
    background: Supervisor
    plugins: Plugins


@dataclass(slots=True)
class OomRelay:
    """Tells of a container that ran out of memory; the containers are made after the runtime."""

    containers: Containers | None = None

    def __call__(self, container_id: str) -> None:
        """Announce it."""
        if self.containers is not None:
            container = self.containers.get(container_id)
            self.containers.parts.announce(container, "oom")


async def build(config: Config, stack: AsyncExitStack) -> Wired:
    """Make and open all domains, from the lowest up; *stack* closes them."""
    common = _common(config, stack)
    images = await _images(common)
    volumes = await _volumes(common)
    networks = await _networks(common)
    on_oom = OomRelay()
    runtime = await _runtime(common, on_oom)
    containers = await _containers(common, images, volumes, networks, runtime)
    on_oom.containers = containers
    image_parts = _image_parts(common, images, containers)
    image_service = Images(image_parts)
    builder = await _builder(common, image_parts, networks, runtime)
    await image_service.open()
    system = _system(common, images, containers, runtime)
    engine = Engine(
        events=common.events,
        system=system,
        volumes=volumes,
        networks=networks,
        containers=containers,
        images=image_service,
        build=builder,
    )

    def reload_system(fresh: Config) -> None:
        system.settings = settings.system_settings(fresh, runtime.fitness)

    def reload_containers(fresh: Config) -> None:
        driver = images.layers.driver.name
        containers.parts.settings = settings.container_settings(fresh, storage_driver=driver)

    return Wired(engine, common.plugins, [reload_system, reload_containers])


def _common(config: Config, stack: AsyncExitStack) -> Common:
    data_root = Path(config.data_root)
    database = Database(data_root / "moorage.db")
    stack.callback(database.close)
    background = Supervisor("background")
    stack.push_async_callback(background.close)
    plugins = Plugins(Discovery(), user_agent=f"moorage/{VERSION}")
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
    )


async def _images(common: Common) -> ImageStore:
    root, database = common.data_root, common.database
    durability = Durability(database, root, boot=boot_id())
    options = settings.storage_options(common.config)
    driver = await offload.run("fs", choose, root / "layers", common.config.storage_driver, options)
    log.info("storage driver %s", driver.name)
    content = ContentStore(root / "content", durability)
    layers = LayerStore(driver=driver, database=database, content=content, durability=durability)
    await offload.run("fs", layers.open)
    images = ImageStore(database=database, content=content, layers=layers)
    images.open()
    return images


async def _volumes(common: Common) -> Volumes:
    volumes = Volumes(
        root=common.data_root / "volumes",
        exec_root=common.exec_root,
        database=common.database,
        events=common.events,
        plugins=common.plugins,
    )
    await volumes.open()
    common.stack.push_async_callback(volumes.close)
    return volumes


async def _networks(common: Common) -> Networks:
    networks = Networks(
        config=settings.networks_config(common.config),
        database=common.database,
        events=common.events,
        supervisor=common.background,
    )
    common.stack.push_async_callback(networks.close)
    await networks.open()
    return networks


async def _runtime(common: Common, on_oom: OomRelay) -> Runtime:
    runtime = Runtime(
        exec_root=common.exec_root,
        state_root=common.data_root / "runtime",
        runtimes=settings.runtime_configs(common.config),
        default=common.config.default_runtime or "crun",
        supervisor=common.background,
        on_oom=on_oom,
    )
    common.stack.push_async_callback(runtime.close)
    await runtime.open()
    for warning in runtime.warnings:
        log.warning("%s", warning)
    return runtime


async def _containers(
    common: Common, images: ImageStore, volumes: Volumes, networks: Networks, runtime: Runtime
) -> Containers:
    facts, resources = host_facts.examine(runtime)
    driver = images.layers.driver.name
    parts = Parts(
        settings=settings.container_settings(common.config, storage_driver=driver),
        facts=facts,
        resources=resources,
        store=ContainerStore(common.database),
        runtime=runtime,
        layers=images.layers,
        images=images,
        networks=networks,
        volumes=volumes,
        events=common.events,
        supervisor=common.background,
    )
    containers = Containers(parts)
    await containers.open()
    common.stack.push_async_callback(containers.close)
    return containers


def _image_parts(common: Common, images: ImageStore, containers: Containers) -> ImageParts:
    return ImageParts(
        store=images,
        content=images.content,
        layers=images.layers,
        leases=Leases(common.database),
        events=common.events,
        supervisor=common.background,
        users=UsersOfImages(containers),
    )


async def _builder(
    common: Common, images: ImageParts, networks: Networks, runtime: Runtime
) -> BuildStreams:
    client = HttpClient(user_agent=f"moorage/{VERSION}")
    common.stack.push_async_callback(client.close)
    builder = await offload.run(
        "fs",
        assemble,
        roots=Roots(data=common.data_root / "build", exec=common.exec_root / "build"),
        database=common.database,
        images=images,
        runtime=runtime,
        networks=DaemonNetworks(networks),
        client=client,
        supervisor=common.background,
        settings=BuilderSettings(platform=images.store.host),
    )
    return BuildStreams(builder, common.background)


def _system(common: Common, images: ImageStore, containers: Containers, runtime: Runtime) -> System:
    def counts() -> Counts:
        states = [container.state for container in containers.parts.store.all()]
        paused = states.count(State.PAUSED)
        running = sum(state in {State.RUNNING, State.RESTARTING} for state in states)
        return Counts(
            running=running,
            paused=paused,
            stopped=len(states) - running - paused,
            images=len(images.all()),
        )

    async def plugins(subsystem: str) -> list[str]:
        found, _ = await common.plugins.all(subsystem)
        return [plugin.name for plugin in found]

    driver, fitness = images.layers.driver, runtime.fitness
    reports = Reports(
        counts=counts,
        plugins=plugins,
        network_drivers=containers.parts.networks.drivers,
        log_drivers=sorted(set(log_options.DRIVERS) - {"none"}),
        storage_driver=driver.name,
        storage_status=driver.status,
        cgroup_version="2" if fitness.cgroups.mode == "v2" else "1",
        cgroup_controllers=fitness.cgroups.controllers(),
        warnings=lambda: runtime.warnings,
    )
    _ = common.background.start(_learn_runtime_version(runtime, reports), "runtime version")
    return System(
        daemon_id=daemon_id(common.database),
        settings=settings.system_settings(common.config, runtime.fitness),
        reports=reports,
        events=common.events,
    )


async def _learn_runtime_version(runtime: Runtime, reports: Reports) -> None:
    """Ask the default runtime for its version, which nothing but ``info`` and ``version`` shows."""
    program = runtime.fitness.runtimes[runtime.fitness.default].path
    try:
        said = await spawn.run([program, "--version"], timeout_s=10)
    except (OSError, TimeoutError) as error:
        log.debug("%s --version: %s", program, error)
        return
    lines = said.stdout.decode(errors="replace").splitlines()
    pairs = dict(line.partition(": ")[::2] for line in lines if ": " in line)
    if lines:
        name, _, version = lines[0].partition(" version ")
        reports.runtime = RuntimeVersion(name=name, version=version, commit=pairs.get("commit", ""))
