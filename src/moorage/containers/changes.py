"""``diff`` and ``export``: what the writable layer changed, and the whole tree as a tar."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING, BinaryIO

from moorage.containers import prepare
from moorage.lib import bridge, offload
from moorage.lib.errors import Conflict
from moorage.containers.state import State

if TYPE_CHECKING:
    from moorage.containers.container import Container
    from moorage.containers.parts import Parts
    from moorage.spec.engine.container import FilesystemChange


async def changes(parts: Parts, container: Container) -> list[FilesystemChange]:
    """Return what was added, changed and deleted, sorted by path."""
    return await offload.run("fs", parts.layers.changes, container.id)


async def export(parts: Parts, container: Container) -> AsyncIterator[bytes]:
    """Yield the container's root file system as a tar, without its volumes.

    Events: ``export``.
    Raises: Conflict (being removed).
    """
    if container.state in {State.REMOVING, State.DEAD}:
        raise Conflict(
            f"You cannot export container {container.id} which is being removed or is dead"
        )
    async with AsyncExitStack() as undo:
        if not container.alive:
            await undo.enter_async_context(container.lock)
            await prepare.mount_rootfs(parts, container, undo)

        def produce(file: BinaryIO) -> None:
            for chunk in parts.layers.export(container.id):
                file.write(chunk)

        async for chunk in bridge.iterate(produce):
            yield chunk
    parts.announce(container, "export")
