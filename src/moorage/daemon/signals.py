"""Signals of the daemon: SIGTERM and SIGINT stop it, SIGHUP reloads, SIGUSR1 dumps the stacks."""

from __future__ import annotations

import asyncio
import faulthandler
import logging
import signal
import sys
from collections.abc import Callable
from typing import Final

log = logging.getLogger(__name__)
_IMPATIENT: Final = 3  # the third SIGTERM or SIGINT ends the daemon at once, as dockerd's does


class Signals:
    """Installs the handlers; ``wait_stop`` returns when the daemon is to end."""

    def __init__(self, reload: Callable[[], None]) -> None:
        self._stop = asyncio.Event()
        self._count = 0
        loop = asyncio.get_running_loop()
        loop.add_signal_handler(signal.SIGTERM, self._stop_asked, "SIGTERM")
        loop.add_signal_handler(signal.SIGINT, self._stop_asked, "SIGINT")
        loop.add_signal_handler(signal.SIGHUP, reload)
        faulthandler.register(signal.SIGUSR1, file=sys.stderr, all_threads=True)

    def _stop_asked(self, name: str) -> None:
        self._count += 1
        log.info("processing signal %s", name)
        if self._count >= _IMPATIENT:
            end_at_once()
        self._stop.set()

    async def wait_stop(self) -> None:
        """Wait for the signal to stop."""
        await self._stop.wait()


def end_at_once() -> None:
    """End as in a crash: the next daemon finishes what was begun."""
    log.warning("forced to end without cleaning up")
    signal.raise_signal(signal.SIGKILL)
