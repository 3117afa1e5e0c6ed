"""``kill``: a signal to the container's first process."""

from __future__ import annotations

import logging
import signal as signals
from typing import Final

from moorage.containers import restart
from moorage.containers.container import Container
from moorage.containers.parts import Parts
from moorage.containers.state import Event, State, advance
from moorage.containers.validate_config import parse_signal
from moorage.lib.errors import Conflict, System

log = logging.getLogger(__name__)

_DEFAULT: Final = signals.SIGKILL


async def kill(parts: Parts, container: Container, signal: str) -> None:
    """Send *signal* (default KILL).

    Events: ``kill``, and what follows from it.
    Raises: InvalidParameter (unknown signal), Conflict (not running).
    """
    number = parse_signal(signal) if signal else int(_DEFAULT)
    async with container.lock:
        if not container.active:
            raise Conflict(f"container {container.id} is not running")
        await send(parts, container, number)


async def send(parts: Parts, container: Container, number: int) -> None:
    """Send a signal and note that the user wants an end, if it asks for one.

    A paused container is thawed, else it could not obey.
    *Preconditions*: the caller holds the lock; the container is active.
    """
    ends = _asks_for_end(container, number)
    if ends:
        container.stop_asked = True
        restart.cancel(container)
    try:
        parts.store.change(container, stopped_by_user=True)
    except System as error:  # a full disk must not keep anybody from ending what fills it
        log.warning("container %s: its stop is not on record: %s", container.id, error)
    if container.state is State.RESTARTING:
        if ends:
            restart.give_up(parts, container)
        return
    task = container.running_task()
    await task.signal(number)
    if ends and container.state is State.PAUSED:
        await task.resume()
        parts.store.change(container, state=advance(container.state, Event.UNPAUSE))
    parts.announce(container, "kill", signal=str(number))


def _asks_for_end(container: Container, number: int) -> bool:
    """Docker's rule: KILL, the configured stop signal, or any signal where none is configured."""
    configured = container.record.config.stop_signal
    if not configured or number == signals.SIGKILL:
        return True
    return parse_signal(configured) == number


def stop_signal(container: Container) -> int:
    """Return the number of the container's stop signal."""
    configured = container.record.config.stop_signal
    return parse_signal(configured) if configured else int(signals.SIGTERM)
