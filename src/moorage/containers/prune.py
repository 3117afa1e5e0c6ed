"""``container prune``: remove those that do not run."""

from __future__ import annotations

from typing import Final

from moorage.containers import inspect, remove
from moorage.containers.container import Container
from moorage.containers.parts import Parts
from moorage.lib import timestamps
from moorage.lib.errors import Conflict, MoorageError, NotFound
from moorage.spec.engine.container import ContainerPruneResponse
from moorage.spec.engine.filters import Filters

_KNOWN: Final = ("label", "label!", "until")


async def prune(parts: Parts, filters: Filters) -> ContainerPruneResponse:
    """Remove every container that does not run and passes *filters*.

    Events: ``destroy`` for each, then ``prune``.
    Raises: InvalidParameter.
    """
    filters.require_known(_KNOWN)
    until_ns = timestamps.until(filters.get("until"))
    removed: list[str] = []
    reclaimed = 0
    for container in parts.store.all():
        if container.active or not _takes(container, filters, until_ns):
            continue
        try:
            written, _ = await inspect.sizes(parts, container)
            await remove.remove(parts, container, force=False, volumes=False)
        except (Conflict, NotFound):
            continue  # started or removed meanwhile
        except MoorageError:
            continue  # stays, as DEAD, with its reason
        removed.append(container.id)
        reclaimed += written
    parts.events.publish("container", "prune", "", {"reclaimed": str(reclaimed)})
    return ContainerPruneResponse(containers_deleted=removed or None, space_reclaimed=reclaimed)


def _takes(container: Container, filters: Filters, until_ns: int | None) -> bool:
    record = container.record
    if until_ns is not None and record.created_ns > until_ns:
        return False
    labels = record.config.labels
    return filters.labels(labels) and (
        "label!" not in filters or not filters.labels(labels, "label!")
    )
