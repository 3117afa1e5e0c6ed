"""Puts the builder together out of the daemon's parts."""

from __future__ import annotations

import os

from moorage.build.contexts import Contexts
from moorage.build.exporters.export import Exporters
from moorage.build.foundation import Foundation
from moorage.build.history import History
from moorage.build.needs import CommandNetworks
from moorage.build.neighbours import DaemonImages, RegistryOperations, Repositories
from moorage.build.operations.cachemounts import CacheMounts
from moorage.build.operations.fetching import Fetching
from moorage.build.operations.running import Host
from moorage.build.operations.worker import DaemonWorker
from moorage.build.service import Builder
from moorage.build.slots import Slots
from moorage.build.solver import Solver
from moorage.build.transfer.service import Transfers
from moorage.cdi.directories import Directories
from moorage.lib.httpclient import HttpClient
from moorage.lib.tasks import Supervisor
from moorage.runtime import defaults, seccomp_default, seccomp_profile


def assemble(
    foundation: Foundation,
    *,
    networks: CommandNetworks,
    cdi: Directories,
    client: HttpClient,
    supervisor: Supervisor,
    registry: RegistryOperations | None = None,
    repositories: Repositories | None = None,
) -> Builder:
    """Return a builder, opened."""
    roots, images, cache = foundation.roots, foundation.images, foundation.cache
    runtime = foundation.runtime
    cores = os.cpu_count() or 1
    neighbours = DaemonImages(images, registry)
    labels: dict[str, str] = {}
    runtime.selinux.holders.append(lambda: list(labels.values()))
    worker = DaemonWorker(
        host=Host(
            layers=images.layers,
            views=foundation.views,
            runtime=runtime,
            networks=networks,
            cdi=cdi,
            cache_mounts=CacheMounts(cache),
            staging=roots.exec,
            seccomp=seccomp_profile.resolve(seccomp_default.PROFILE, defaults.CAPABILITIES),
            cpus=cores,
            cgroup_v2=runtime.fitness.cgroups.mode == "v2",
            labels=labels,
        ),
        cache=cache,
        fetching=Fetching(cache, client),
        scratch=roots.outputs,
    )
    builder = Builder(
        cache=cache,
        contexts=Contexts(roots.data),
        history=History(database=foundation.database, root=roots.data),
        solver=Solver(worker=worker, supervisor=supervisor, slots=Slots(cores)),
        worker=worker,
        images=neighbours,
        transfers=Transfers(
            cache=cache,
            images=neighbours,
            repositories=repositories,
            open_layer=images.content.open,
            scratch=roots.outputs,
        ),
        agents_root=roots.agents,
        exporters=Exporters(
            layers=images.layers,
            views=foundation.views,
            open_layer=images.content.open,
            images=neighbours,
            push=neighbours.push,
            scratch=roots.outputs,
        ),
        settings=foundation.settings,
        upkeep=foundation.upkeep,
        cdi=cdi,
    )
    builder.open()
    return builder
