"""What the domains tell ``info``, ``version`` and ``system df``: the ways of asking them."""

from __future__ import annotations

import logging
from collections.abc import Sequence

from moorage.build.upkeep import Upkeep
from moorage.containers.service import Containers
from moorage.containers.state import State
from moorage.daemon import domain_settings as settings
from moorage.daemon.domains import Common
from moorage.daemon.identity import daemon_id
from moorage.engine.system import Counts, Reports, RuntimeVersion, System
from moorage.images.service import Images
from moorage.kernel import spawn
from moorage.logs import options as log_options
from moorage.runtime.features import Features
from moorage.runtime.service import Runtime
from moorage.spec.engine.build import BuildCacheDiskUsage
from moorage.spec.engine.container import ContainerSummary
from moorage.spec.engine.filters import Filters
from moorage.spec.engine.image import ImagesDiskUsage
from moorage.spec.engine.volume import Volume
from moorage.volumes.service import Volumes

log = logging.getLogger(__name__)


class UsageSources:
    """Where ``system df`` asks (an ``engine.usage.Sources``)."""

    def __init__(
        self, containers: Containers, images: Images, volumes: Volumes, build: Upkeep
    ) -> None:
        self._containers = containers
        self._images = images
        self._volumes = volumes
        self._build = build

    async def containers(self) -> Sequence[ContainerSummary]:
        """Return all containers with their sizes."""
        return await self._containers.list_all(Filters(), every=True, limit=-1, size=True)

    async def images(self) -> ImagesDiskUsage:
        """Return the usage of images."""
        return self._images.disk_usage()

    async def volumes(self) -> Sequence[Volume]:
        """Return all volumes with their sizes."""
        return await self._volumes.sizes()

    async def build_cache(self) -> BuildCacheDiskUsage:
        """Return the usage of the build cache."""
        return self._build.disk_usage()


def system(
    common: Common,
    *,
    containers: Containers,
    images: Images,
    volumes: Volumes,
    build: Upkeep,
    runtime: Runtime,
) -> System:
    """Make the domain that speaks for the daemon as a whole."""

    def counts() -> Counts:
        states = [container.state for container in containers.parts.store.all()]
        paused = states.count(State.PAUSED)
        running = sum(state in {State.RUNNING, State.RESTARTING} for state in states)
        return Counts(
            running=running,
            paused=paused,
            stopped=len(states) - running - paused,
            images=len(images.store.all()),
        )

    async def plugins(subsystem: str) -> list[str]:
        found, _ = await common.plugins.all(subsystem)
        return [plugin.name for plugin in found]

    driver, fitness = images.store.layers.driver, runtime.fitness
    reports = Reports(
        counts=counts,
        plugins=plugins,
        network_drivers=containers.parts.networks.drivers,
        log_drivers=sorted(set(log_options.DRIVERS) - {"none"}),
        storage_driver=driver.name,
        storage_status=driver.status,
        cgroup_version="2" if fitness.cgroups.mode == "v2" else "1",
        cgroup_driver=fitness.cgroup_driver,
        cgroup_controllers=fitness.cgroups.controllers(),
        swap_limit=fitness.cgroups.swap_limit(),
        warnings=lambda: runtime.warnings,
        cdi=common.cdi,
        apparmor=runtime.apparmor.enabled,
        runtime_status=Features().status,
        selinux=runtime.selinux.enabled,
    )
    _ = common.background.start(_learn_runtime_version(runtime, reports), "runtime version")
    return System(
        daemon_id=daemon_id(common.database),
        settings=settings.system_settings(
            common.config, runtime.fitness, remapped=common.owners is not None
        ),
        reports=reports,
        usage=UsageSources(containers, images, volumes, build),
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
