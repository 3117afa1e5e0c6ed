"""``stop`` and ``restart``: ask the first process to end, insist after a while."""

from __future__ import annotations

import asyncio
import signal as signals
from typing import Final

from moorage.containers import kill, lifecycle, release
from moorage.containers.container import Container, Ended
from moorage.containers.parts import Parts
from moorage.lib import signalnames
from moorage.lib.errors import System

DEFAULT_TIMEOUT_S: Final = 10


async def stop(
    parts: Parts, container: Container, *, signal: str | None, timeout_s: int | None
) -> bool:
    """Stop: *signal*, then SIGKILL after *timeout_s* (-1 waits for ever).

    Returns: whether it was running.
    Events: ``kill`` for each signal, then ``die`` and ``stop``.
    Raises: InvalidParameter (unknown signal), System (it does not die).
    """
    number = signalnames.parse(signal) if signal else kill.stop_signal(container)
    wait_s = _timeout(container, timeout_s)
    async with container.lock:
        if not container.active:
            await release.release_remains(parts, container)
            return False
        ended = container.waiters.next_exit()
        container.stop_asked = True
        await kill.send(parts, container, number)
    if not await _wait(ended, wait_s):
        await _insist(parts, container, ended)
    async with container.lock:  # what it held of the host has been given back
        parts.announce(container, "stop")
    return True


def _timeout(container: Container, asked_s: int | None) -> float | None:
    """Return seconds, None for ever."""
    configured = container.record.config.stop_timeout
    seconds = asked_s if asked_s is not None else configured
    if seconds is None:
        return float(DEFAULT_TIMEOUT_S)
    return None if seconds < 0 else float(seconds)


async def _wait(ended: asyncio.Future[Ended], seconds: float | None) -> bool:
    try:
        async with asyncio.timeout(seconds):
            await asyncio.shield(ended)
    except TimeoutError:
        return False
    return True


async def _insist(parts: Parts, container: Container, ended: asyncio.Future[Ended]) -> None:
    async with container.lock:
        if not ended.done() and container.active:
            await kill.send(parts, container, signals.SIGKILL)
    try:
        await kill.wait_for_death(container, ended)
    except System as error:
        error.message = f"cannot stop container: {container.id}: {error.message}"
        raise


async def restart(
    parts: Parts, container: Container, *, signal: str | None, timeout_s: int | None
) -> None:
    """Stop if it runs, then start; mounts and networks are made anew.

    One with ``--rm`` is not removed in between.
    Events: those of stop and start, then ``restart``.
    """
    container.stays = True
    try:
        await stop(parts, container, signal=signal, timeout_s=timeout_s)
    finally:
        container.stays = False
    await lifecycle.start(parts, container)
    parts.announce(container, "restart")
