"""``rename``."""

from __future__ import annotations

from moorage.containers import names
from moorage.containers.container import Container
from moorage.containers.parts import Parts
from moorage.lib.errors import InvalidParameter


async def rename(parts: Parts, container: Container, new: str) -> None:
    """Give another name; networks of a running container learn it at once.

    Events: ``rename`` with ``oldName``.
    Raises: InvalidParameter, Conflict (taken).
    """
    if not new:
        raise InvalidParameter("Neither old nor new names may be empty")
    name = names.normalise(new)
    async with container.lock:
        old = container.name
        if name == old:
            raise InvalidParameter("Renaming a container with the same name as its current name")
        parts.store.require_free_name(name)
        parts.store.change(container, name=name)
        parts.networks.rename_container(container.id, name)
        parts.announce(container, "rename", oldName=f"/{old}")
