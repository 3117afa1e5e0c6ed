"""Puts the builder together out of the daemon's parts."""

from __future__ import annotations

import os
from pathlib import Path

from msgspec import Struct

from moorage.build.cache import Cache
from moorage.build.contexts import Contexts
from moorage.build.exporters.export import Exporters
from moorage.build.history import History
from moorage.build.needs import CommandNetworks
from moorage.build.neighbours import DaemonImages, RegistryOperations, Repositories
from moorage.build.operations.cachemounts import CacheMounts
from moorage.build.operations.fetching import Fetching
from moorage.build.operations.running import Host
from moorage.build.operations.worker import DaemonWorker
from moorage.build.recovery import recover
from moorage.build.service import Builder, Settings
from moorage.build.slots import Slots
from moorage.build.solver import Solver
from moorage.build.transfer.service import Transfers
from moorage.build.upkeep import Upkeep
from moorage.build.views import Views
from moorage.cdi.directories import Directories
from moorage.images.operations import Parts
from moorage.lib import offload
from moorage.lib.httpclient import HttpClient
from moorage.lib.tasks import Supervisor
from moorage.runtime import defaults, seccomp_default, seccomp_profile
from moorage.runtime.service import Runtime
from moorage.storage.metadata import Database


class Roots(Struct, frozen=True, kw_only=True):
    """Where the builder keeps files."""

    data: Path  # below data-root
    exec: Path  # on tmpfs


async def assemble(
    *,
    roots: Roots,
    database: Database,
    images: Parts,
    runtime: Runtime,
    networks: CommandNetworks,
    cdi: Directories,
    client: HttpClient,
    supervisor: Supervisor,
    settings: Settings,
    registry: RegistryOperations | None = None,
    repositories: Repositories | None = None,
) -> Builder:
    """Return a builder, opened. Layers of its cache become roots of the garbage collector."""
    views = Views(images.layers, roots.exec / "views")
    await recover(
        staging=roots.exec, layers=images.layers, views=views, runtime=runtime, networks=networks
    )
    (roots.exec / "agents").mkdir(mode=0o700)
    roots.data.mkdir(mode=0o700, parents=True, exist_ok=True)
    cores = os.cpu_count() or 1
    cache = Cache(database=database, root=roots.data)
    cache.layer_exists = images.layers.has
    neighbours = DaemonImages(images, registry)
    worker = DaemonWorker(
        host=Host(
            layers=images.layers,
            views=views,
            runtime=runtime,
            networks=networks,
            cdi=cdi,
            cache_mounts=CacheMounts(cache),
            staging=roots.exec,
            seccomp=seccomp_profile.resolve(seccomp_default.PROFILE, defaults.CAPABILITIES),
            cpus=cores,
            cgroup_v2=runtime.fitness.cgroups.mode == "v2",
        ),
        cache=cache,
        fetching=Fetching(cache, client),
        scratch=roots.data / "outputs",
    )
    upkeep = Upkeep(
        cache=cache,
        layers=images.layers,
        image_chains=neighbours.chains,
        collect=images.collect,
        supervisor=supervisor,
        keep_bytes=settings.keep_bytes,
    )
    builder = Builder(
        cache=cache,
        contexts=Contexts(roots.data),
        history=History(database=database, root=roots.data),
        solver=Solver(worker=worker, supervisor=supervisor, slots=Slots(cores)),
        worker=worker,
        images=neighbours,
        transfers=Transfers(
            cache=cache,
            images=neighbours,
            repositories=repositories,
            open_layer=images.content.open,
            scratch=roots.data / "outputs",
        ),
        agents_root=roots.exec / "agents",
        exporters=Exporters(
            layers=images.layers,
            views=views,
            open_layer=images.content.open,
            images=neighbours,
            push=neighbours.push,
            scratch=roots.data / "outputs",
        ),
        settings=settings,
        upkeep=upkeep,
        cdi=cdi,
    )
    await offload.run("fs", builder.open)
    images.more_roots.append(upkeep.roots)
    return builder
