"""The composition root: the order in which the domains are made, from the lowest up."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path

from moorage.daemon import domain_settings as settings
from moorage.daemon import domains, reporting
from moorage.daemon.config import Config
from moorage.daemon.reload import Apply
from moorage.engine.engine import Engine
from moorage.plugins.registry import Plugins
from moorage.runtime import relabel


@dataclass(frozen=True, slots=True)
class Wired:
    """The engine, the plugins, and what is told of a reloaded configuration."""

    engine: Engine
    plugins: Plugins
    reload: Sequence[Apply]


async def build(config: Config, stack: AsyncExitStack, *, database: Path | None = None) -> Wired:
    """Make and open all domains; *stack* closes them in the reverse order.

    *database*: another than that of the data-root.
    """
    common = await domains.common_parts(config, stack, database)
    store = await domains.image_store(common)
    volumes = await domains.volumes(common)
    networks = await domains.networks(common)
    on_oom = domains.OomRelay()
    runtime = await domains.runtime(common, on_oom)
    store.layers.labelling = relabel.tree if runtime.selinux.enabled else None
    parts = domains.container_parts(common, store, volumes, networks, runtime)
    containers = await domains.containers(common, parts)
    on_oom.containers = containers
    registries = domains.registries(common)
    image_parts = domains.image_parts(common, store, containers)
    images = domains.images(common, image_parts, registries)
    ground = await domains.build_foundation(common, image_parts, networks, runtime)
    await images.open()
    system = reporting.system(
        common,
        containers=containers,
        images=images,
        volumes=volumes,
        build=ground.upkeep,
        runtime=runtime,
    )
    engine = Engine(
        events=common.events,
        system=system,
        containers=containers,
        images=images,
        networks=networks,
        volumes=volumes,
        make_build=domains.builds(
            common, ground, registry=images, repositories=registries, networks=networks
        ),
        make_buildkit=domains.buildkits(common, networks),
        registries=registries,
    )

    def reload(fresh: Config) -> None:
        common.config = fresh
        system.settings = settings.system_settings(
            fresh, runtime.fitness, remapped=common.owners is not None
        )
        common.cdi.paths = settings.cdi_directories(fresh)
        parts.settings = settings.container_settings(
            fresh, storage_driver=store.layers.driver.name, owners=common.owners
        )

    return Wired(engine, common.plugins, [reload])
