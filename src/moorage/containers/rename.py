"""``rename``."""

from __future__ import annotations

from moorage.containers import names
from moorage.containers.container import Container
from moorage.containers.parts import Parts
from moorage.lib.errors import InvalidParameter, MoorageError


async def rename(parts: Parts, container: Container, new: str) -> None:
    """Give another name; networks of a running container learn it at once.

    Events: ``rename`` with ``oldName``.
    Raises: InvalidParameter, Conflict (taken).
    """
    if not new:
        raise InvalidParameter("Neither old nor new names may be empty")
    name = new.removeprefix("/")
    async with container.lock:
        old = container.name
        if name == old:
            raise InvalidParameter("Renaming a container with the same name as its current name")
        try:
            names.normalise(f"/{name}")
            parts.store.require_free_name(name)
        except MoorageError as error:
            error.message = f"Error when allocating new name: {error.message}"
            raise
        parts.store.change(container, name=name)
        parts.networks.rename_container(container.id, name)
        parts.announce(container, "rename", oldName=f"/{old}")
