"""What of the builder there is in a daemon that builds nothing: its cache, for others' layers too.

The builder itself is put on it when the first build is asked for, see ``assembly.py``.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from msgspec import Struct

from moorage.build.cache import Cache
from moorage.build.recovery import recover
from moorage.build.settings import Settings
from moorage.build.upkeep import Upkeep
from moorage.build.views import Views
from moorage.lib import atomicfile, offload

if TYPE_CHECKING:
    from moorage.build.recovery import Leave
    from moorage.images.operations import Parts
    from moorage.lib.tasks import Supervisor
    from moorage.runtime.service import Runtime
    from moorage.spec.digest import Digest
    from moorage.storage.metadata import Database


class Roots(Struct, frozen=True, kw_only=True):
    """Where the builder keeps files."""

    data: Path  # below data-root
    exec: Path  # on tmpfs

    @property
    def contexts(self) -> Path:
        """Where the files of clients are, while a build needs them."""
        return self.data / "contexts"

    @property
    def outputs(self) -> Path:
        """Where a build's outputs are, until they are fetched."""
        return self.data / "outputs"

    @property
    def agents(self) -> Path:
        """Where sockets are that lead to clients' agents."""
        return self.exec / "agents"


class Foundation(Struct, frozen=True, kw_only=True):
    """The cache, opened, and what a build needs of the daemon's state."""

    roots: Roots
    database: Database
    images: Parts
    runtime: Runtime
    cache: Cache
    views: Views
    upkeep: Upkeep
    settings: Settings


async def lay(
    *,
    roots: Roots,
    database: Database,
    images: Parts,
    runtime: Runtime,
    leave: Leave,
    supervisor: Supervisor,
    settings: Settings,
) -> Foundation:
    """Open the cache, whose layers become roots of the garbage collector.

    What builds of a former daemon left is removed; *leave* gives a command's network back.
    """
    views = Views(images.layers, roots.exec / "views")
    await recover(
        staging=roots.exec, layers=images.layers, views=views, runtime=runtime, leave=leave
    )
    for left in (roots.contexts, roots.outputs):
        await offload.run("fs", atomicfile.remove_tree, left)
    roots.agents.mkdir(mode=0o700)
    roots.data.mkdir(mode=0o700, parents=True, exist_ok=True)
    cache = Cache(database=database, root=roots.data)
    cache.layer_exists = images.layers.has
    await offload.run("fs", cache.open)

    def chains_of_images() -> set[Digest]:
        return {chain_id for image in images.store.all() for chain_id in image.chain}

    upkeep = Upkeep(
        cache=cache,
        layers=images.layers,
        image_chains=chains_of_images,
        collect=images.collect,
        supervisor=supervisor,
        events=images.events,
        rules=settings.cache_rules,
    )
    images.more_roots.append(upkeep.roots)
    return Foundation(
        roots=roots,
        database=database,
        images=images,
        runtime=runtime,
        cache=cache,
        views=views,
        upkeep=upkeep,
        settings=settings,
    )
