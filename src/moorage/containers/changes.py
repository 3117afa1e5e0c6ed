"""``diff`` and ``export``: what the writable layer changed, and the whole tree as a tar."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import aclosing
from typing import TYPE_CHECKING, BinaryIO

from moorage.containers.state import State
from moorage.lib import bridge, offload
from moorage.lib.errors import Conflict
from moorage.spec.engine.container import FilesystemChange

if TYPE_CHECKING:
    from moorage.containers.container import Container
    from moorage.containers.parts import Parts


async def changes(parts: Parts, container: Container) -> list[FilesystemChange]:
    """Return what was added, changed and deleted, sorted by path."""
    found = await offload.run("fs", parts.layers.changes, container.id)
    return [FilesystemChange(path=change.path, kind=int(change.kind)) for change in found]


async def export(parts: Parts, container: Container) -> AsyncIterator[bytes]:
    """Yield the container's root file system as a tar, without its volumes.

    Events: ``export``.
    Raises: Conflict (being removed).
    """
    if container.state in {State.REMOVING, State.DEAD}:
        raise Conflict(
            f"You cannot export container {container.id} which is being removed or is dead"
        )

    def produce(file: BinaryIO) -> None:
        for chunk in parts.layers.export(container.id):
            file.write(chunk)

    async with aclosing(bridge.iterate(produce)) as chunks:
        async for chunk in chunks:
            yield chunk
    parts.announce(container, "export")
