"""The build cache as its owner sees it: what it takes, what goes, what must stay.

Limits are hard: after every build the least recently used records go, rule by rule, until the cache
is below them, and with them the layers that nothing else needs.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence

from msgspec import Struct

from moorage.build import prune
from moorage.build.cache import Cache, Record
from moorage.build.settings import GcRule
from moorage.images.operations import Publisher
from moorage.lib import clock, offload
from moorage.lib.errors import InvalidParameter
from moorage.lib.tasks import Supervisor
from moorage.spec.digest import Digest
from moorage.spec.engine.build import BuildCache, BuildCacheDiskUsage
from moorage.spec.engine.filters import Filters
from moorage.storage.garbage import Roots
from moorage.storage.layers import LayerStore


class Pruned(Struct, frozen=True, kw_only=True, rename="pascal"):
    """The document's ``BuildPruneResponse``."""

    caches_deleted: list[str] | None
    space_reclaimed: int


class Upkeep:
    """Looks after one cache."""

    def __init__(
        self,
        *,
        cache: Cache,
        layers: LayerStore,
        image_chains: Callable[[], set[Digest]],
        collect: Callable[[], object],
        supervisor: Supervisor,
        events: Publisher,
        rules: Sequence[GcRule],
    ) -> None:
        """*collect* drops layers that nobody keeps; it blocks."""
        self._cache = cache
        self._layers = layers
        self._image_chains = image_chains
        self._collect = collect
        self._supervisor = supervisor
        self._events = events
        self._rules = rules
        self._running: list[int] = []  # when the running builds began

    def begin(self, started_ns: int) -> None:
        """Keep every layer made from now on, until the build ends."""
        self._running.append(started_ns)

    def end(self, started_ns: int) -> None:
        """End a build: write the uses down, and bring the cache below its limits."""
        self._running.remove(started_ns)
        self._cache.flush()
        removed = [self._obey(rule).caches_deleted for rule in self._rules]
        if any(removed):
            _ = self._supervisor.start(offload.run("fs", self._collect), "build cache")

    def _obey(self, rule: GcRule) -> Pruned:
        limits = prune.Limits(
            reserved_bytes=rule.reserved_bytes or None,
            max_bytes=rule.max_bytes or None,
            to_free_bytes=self.free_space_wanted(rule.min_free_bytes),
        )
        return self._remove(rule.filters, limits, everything=rule.everything)

    def roots(self) -> Roots:
        """Return the layers that the cache keeps, and all that running builds may have made."""
        chains: set[str] = set(self._cache.chains())
        if self._running:
            begun = min(self._running)
            chains |= {x.chain_id for x in self._layers.all() if x.created_ns >= begun}
        return Roots(blobs=set(), chains=chains)

    def _facts(self) -> prune.Facts:
        of_images = self._image_chains()

        def shared(record: Record) -> bool:
            return record.chain_id in of_images

        return prune.Facts(in_use=self._cache.in_use, shared=shared)

    def select(self, filters: Filters) -> list[Record]:
        """Return the records that *filters* mean. Raises: InvalidParameter."""
        wanted = prune.matcher(dict(filters.terms), self._facts(), clock.now_ns())
        return [record for record in self._cache.records() if wanted(record)]

    def is_in_use(self, record: Record) -> bool:
        """Say whether a running build needs it."""
        return self._cache.in_use(record.id)

    def is_shared(self, record: Record) -> bool:
        """Say whether its layer belongs to an image too."""
        return record.chain_id in self._image_chains()

    def _remove(self, filters: Filters, limits: prune.Limits, *, everything: bool) -> Pruned:
        facts = self._facts()
        chosen = prune.choose(
            self._cache.records(),
            wanted=prune.matcher(dict(filters.terms), facts, clock.now_ns()),
            facts=facts,
            limits=limits,
            everything=everything,
        )
        freed = 0
        for record in chosen:
            freed += 0 if facts.shared(record) else record.size
            self._cache.remove(record.id)
        return Pruned(caches_deleted=[r.id for r in chosen] or None, space_reclaimed=freed)

    async def prune(self, filters: Filters, limits: prune.Limits, *, everything: bool) -> Pruned:
        """Remove records, and the layers that nothing else needs: ``builder prune``.

        Events: ``builder prune``. Raises: InvalidParameter.
        """
        try:
            prune.refuse_alternatives(filters.terms)
            pruned = self._remove(filters, limits, everything=everything)
        except InvalidParameter as error:
            raise InvalidParameter(
                f"failed to prune build cache: {error.message}", hint=error.hint
            ) from error
        if not filters:
            self._cache.forget_states()
        if pruned.caches_deleted:
            await offload.run("fs", self._collect)
        self._events.publish("builder", "prune", "", {"reclaimed": str(pruned.space_reclaimed)})
        return pruned

    def free_space_wanted(self, free_bytes: int) -> int | None:
        """Return how much must go for *free_bytes* to be free on the disk; None: no such wish."""
        if not free_bytes:
            return None
        status = os.statvfs(self._cache.root)
        return max(0, free_bytes - status.f_bavail * status.f_frsize)

    def disk_usage(self) -> BuildCacheDiskUsage:
        """Return what the cache takes; a layer that an image shares counts for the image."""
        facts = self._facts()
        items: list[object] = []
        total = reclaimable = active = 0
        for record in self._cache.records():
            shared, in_use = facts.shared(record), self._cache.in_use(record.id)
            items.append(_shown(record, shared=shared, in_use=in_use))
            active += in_use
            total += 0 if shared else record.size
            reclaimable += 0 if shared or in_use else record.size
        return BuildCacheDiskUsage(
            active_count=active,
            total_count=len(items),
            reclaimable=reclaimable,
            total_size=total,
            items=items,
        )


def _shown(record: Record, *, shared: bool, in_use: bool) -> BuildCache:
    return BuildCache(
        id=record.id,
        parents=list(record.parents) or None,
        type=record.kind,
        description=record.description,
        in_use=in_use,
        shared=shared,
        size=record.size,
        created_at=clock.rfc3339(record.created_ns),
        last_used_at=clock.rfc3339(record.last_used_ns),
        usage_count=record.usage_count,
    )
