"""``rm``: everything a container owns goes, in an order that a crash can resume."""

from __future__ import annotations

import logging
import signal as signals
from typing import Final

from moorage.containers import kill
from moorage.containers.container import Container, Ended
from moorage.containers.parts import Parts
from moorage.containers.record import Intent
from moorage.containers.release import release
from moorage.containers.state import Event, State, advance
from moorage.lib import atomicfile, offload
from moorage.lib.errors import Conflict, InvalidParameter, MoorageError, NotFound, System
from moorage.lib.failpoint import failpoint

log = logging.getLogger(__name__)
_ATTEMPTS: Final = 10  # of a forced removal, should the container be started under it


_HOLDS: Final = {Intent.START, Intent.RELEASE, Intent.REMOVE}
"""Intents under which a container may hold something of the host although it does not run."""


async def remove(parts: Parts, container: Container, *, force: bool, volumes: bool) -> None:
    """Remove a container that does not run, or with *force* any.

    *volumes*: its anonymous volumes too.
    Events: ``kill`` and ``die`` if it ran, then ``destroy``.
    Raises: Conflict (runs; is being removed), System.
    """
    for _ in range(_ATTEMPTS):
        if force and container.active:
            await _kill(parts, container)
        async with container.lock:
            if force and container.active:
                continue  # a policy, or somebody else, has started it meanwhile
            _require_removable(container, force=force)
            await discard(parts, container, volumes=volumes)
            return
    raise Conflict(f'cannot remove container "/{container.name}": it is started again and again')


async def _kill(parts: Parts, container: Container) -> None:
    async with container.lock:
        if not container.active:
            return
        ended = container.waiters.next_exit()
        await kill.send(parts, container, signals.SIGKILL)
    try:
        await kill.wait_for_death(container, ended)
    except System as error:
        error.message = f"cannot remove container {container.id}: could not kill: {error.message}"
        raise


def _require_removable(container: Container, *, force: bool) -> None:
    if container.state is State.REMOVING and not force:
        raise Conflict(f"removal of container {container.id} is already in progress")
    if container.state is State.PAUSED:
        raise Conflict(
            f'cannot remove container "/{container.name}": container is paused and must be'
            " unpaused first"
        )
    if container.active:
        raise Conflict(
            f'cannot remove container "/{container.name}": container is {container.state}:'
            " stop the container before removing or force remove"
        )


async def discard(parts: Parts, container: Container, *, volumes: bool) -> None:
    """Take everything away; may run again after a failure.

    Events: ``destroy``.
    Raises: System: then the container is DEAD, and can be removed again.
    *Preconditions*: the caller holds the lock; no process runs.
    """
    if parts.store.find(container.id) is not container:
        return  # another removal was quicker
    seen = container.record.intent is not Intent.CREATE
    holds = container.record.intent in _HOLDS
    parts.store.change(
        container, state=advance(container.state, Event.REMOVE), intent=Intent.REMOVE
    )
    try:
        if holds and (held := await release(parts, container, None)):
            raise System(f"what it holds of the host cannot be given back: {held}")
        await _take_away(parts, container)
        if seen:
            await _release_volumes(parts, container, anonymous=volumes)
        else:
            await parts.volumes.abandon(container.id)  # the record does not name them yet
    except (MoorageError, OSError) as error:
        message = f"cannot remove container {container.id}: {error}"
        parts.store.change(
            container, state=advance(container.state, Event.REMOVE_FAILED), error=message
        )
        container.waiters.exited(Ended(container.record.exit_code, message))
        raise System(message) from error
    parts.store.delete(container)
    parts.execs.forget(container)
    if seen:
        parts.announce(container, "destroy")
    container.waiters.removed(Ended(container.record.exit_code))


async def _take_away(parts: Parts, container: Container) -> None:
    failpoint("containers.remove.after_intent")
    await offload.run("fs", parts.layers.remove_rw, container.id)
    failpoint("containers.remove.after_layer")
    await offload.run("fs", atomicfile.remove_tree, parts.directory(container.id))
    failpoint("containers.remove.after_directory")


async def _release_volumes(parts: Parts, container: Container, *, anonymous: bool) -> None:
    for mount in container.record.mounts:
        if mount.type != "volume":
            continue
        parts.volumes.release(mount.name, container.id)
        if not (anonymous and mount.anonymous):
            continue
        try:
            await parts.volumes.remove(mount.name)
        except (Conflict, NotFound):
            log.debug("volume %s stays: somebody else uses it", mount.name)
        failpoint("containers.remove.after_volume")


async def remove_link(parts: Parts, reference: str) -> None:
    """Undo ``--link``: *reference* is ``parent/alias``. Raises: NotFound, InvalidParameter."""
    parent, slash, alias = reference.removeprefix("/").partition("/")
    if not slash:
        raise InvalidParameter(f"Conflict, cannot remove the default link name of {reference}")
    container = parts.store.get(parent)
    async with container.lock:
        host = container.record.host_config
        kept = [text for text in host.links or [] if not _is_alias(text, alias)]
        if len(kept) == len(host.links or []):
            raise NotFound(f"No such link: {reference}")
        parts.store.change_host_config(container, links=kept)


def _is_alias(text: str, alias: str) -> bool:
    target, _, own = text.partition(":")
    return (own or target).rpartition("/")[2] == alias
