"""What a running container holds of the host is given back."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from moorage.containers import prepare
from moorage.containers.record import Intent
from moorage.lib import offload
from moorage.lib.errors import MoorageError
from moorage.lib.failpoint import failpoint

if TYPE_CHECKING:
    from moorage.containers.container import Container
    from moorage.containers.parts import Parts
    from moorage.runtime.task import Task

log = logging.getLogger(__name__)


async def release(parts: Parts, container: Container, task: Task | None) -> str:
    """Give back what a running container holds of the host; may run twice.

    One thing that cannot be given back does not keep the others: the next start, the removal or
    the next start of the daemon tries again.
    *Preconditions*: the caller holds the lock; no process runs.
    Returns: what is still held, in words; "" for nothing.
    """
    steps = (
        ("runtime", task.delete() if task else parts.runtime.discard(container.id)),
        ("networks", parts.networks.leave(container.id)),
        ("mounts", prepare.release_mounts(parts, container)),
        ("root file system", offload.run("fs", parts.layers.unmount_rw, container.id)),
        ("user namespace", offload.run("fs", prepare.release_user_namespace, parts, container.id)),
        ("shared memory", offload.run("fs", prepare.release_shared_memory, parts, container.id)),
    )
    held = []
    for what, step in steps:
        try:
            await step
        except (MoorageError, OSError) as error:
            held.append(f"{what}: {error}")
            log.warning("container %s: cannot release its %s: %s", container.id, what, error)
        failpoint(f"containers.release.after_{what.replace(' ', '_')}")
    if not held and container.record.intent is not Intent.REMOVE:
        parts.store.observe(container, intent=Intent.NONE)
    return "; ".join(held)


async def release_remains(parts: Parts, container: Container) -> None:
    """Give back what an earlier run or start could not; what still stays is tried again later.

    *Preconditions*: the caller holds the lock; no process runs.
    """
    if container.record.intent in {Intent.START, Intent.RELEASE}:
        await release(parts, container, None)
