"""``kill``: a signal to the container's first process."""

from __future__ import annotations

import asyncio
import logging
import signal as signals
from typing import Final

from moorage.containers import restart
from moorage.containers.container import Container, Ended
from moorage.containers.parts import Parts
from moorage.containers.state import Event, State, advance
from moorage.lib import signalnames
from moorage.lib.errors import Conflict, System

log = logging.getLogger(__name__)

_DEFAULT: Final = signals.SIGKILL
_GRACE_S: Final = 10.0  # how long a SIGKILL may take before we say so


async def kill(parts: Parts, container: Container, signal: str) -> None:
    """Send *signal* (default KILL); who sends KILL finds the container ended when this returns.

    Events: ``kill``, and what follows from it.
    Raises: InvalidParameter (unknown signal), Conflict (not running), System (it does not die).
    """
    number = signalnames.parse(signal) if signal else int(_DEFAULT)
    async with container.lock:
        if not container.active:
            raise Conflict(f"container {container.id} is not running")
        ended = container.waiters.next_exit() if number == signals.SIGKILL else None
        await send(parts, container, number)
    if ended is not None:
        await wait_for_death(container, ended)


async def wait_for_death(container: Container, ended: asyncio.Future[Ended]) -> None:
    """Wait for the end of a container that was sent KILL, and until it holds nothing of the host.

    Raises: System. A process in uninterruptible sleep does not die: it is said, not waited for.
    """
    try:
        async with asyncio.timeout(_GRACE_S):
            await asyncio.shield(ended)
    except TimeoutError:
        ended.cancel()
        raise System(
            "tried to kill container, but did not receive an exit event",
            hint="a process of it may hang in the kernel",
        ) from None
    async with container.lock:
        pass


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
    return signalnames.parse(configured) == number


def stop_signal(container: Container) -> int:
    """Return the number of the container's stop signal."""
    configured = container.record.config.stop_signal
    return signalnames.parse(configured) if configured else int(signals.SIGTERM)
