"""The program ``moord``: configuration, roots, listeners, engine, signals, in that order."""

from __future__ import annotations

import asyncio
import logging
import os
import sys
from contextlib import AsyncExitStack, ExitStack
from pathlib import Path
from typing import NoReturn

from moorage.api import routing
from moorage.api.dispatch import Application
from moorage.api.server import Server
from moorage.daemon import (
    commandline,
    listeners,
    loading,
    logsetup,
    notify,
    ownership,
    purge,
    tls,
    wiring,
)
from moorage.daemon.config import Config
from moorage.daemon.signals import Signals
from moorage.lib import clock
from moorage.lib.errors import InvalidParameter, MoorageError
from moorage.lib.tasks import Supervisor
from moorage.lib.version import VERSION

log = logging.getLogger(__name__)


def main() -> NoReturn:
    """Run the daemon until it is told to stop."""
    try:
        sys.exit(_run(sys.argv[1:]))
    except MoorageError as error:
        print(f"moord: {error}", file=sys.stderr)  # noqa: T201 - the log may not be set up yet
        sys.exit(1)


def _run(arguments: list[str]) -> int:
    line = commandline.parse(arguments)
    if line.mode == "help":
        print(commandline.usage())  # noqa: T201
        return 0
    if line.mode == "version":
        print(f"Moorage version {VERSION}")  # noqa: T201
        return 0
    config = loading.load(line)
    if line.mode == "validate":
        print("configuration OK")  # noqa: T201
        return 0
    if os.geteuid() != 0:
        raise InvalidParameter("moord needs root", hint="start it with sudo, or by systemd")
    logsetup.set_up(level=config.log_level, debug=config.debug, log_format=config.log_format)
    if line.mode == "purge":
        purge.purge(config)
        return 0
    with ExitStack() as owned:
        exec_root = Path(config.exec_root)
        owned.enter_context(ownership.locked(Path(config.data_root), "data-root"))
        owned.enter_context(ownership.locked(exec_root, "exec-root"))
        pidfile = Path(config.pidfile) if config.pidfile else exec_root / "moord.pid"
        owned.enter_context(ownership.pid_file(pidfile))
        ownership.prepare_process(config.oom_score_adjust)
        asyncio.run(_serve(config))
    return 0


async def _serve(config: Config) -> None:
    started = clock.monotonic()
    async with AsyncExitStack() as stack:
        bound = listeners.bind_all(config)
        for listener in bound:
            stack.callback(listener.close)
        engine = await wiring.build(config, stack)
        requests = Supervisor("requests")
        server = Server(Application(engine, routing.load()), requests)
        signals = Signals(lambda: log.info("reload"))
        accepting = await listeners.serve(
            server, bound, tls=tls.server_context(config), allowed_hosts=config.allowed_hosts
        )
        log.info("daemon has completed initialization in %.3f s", clock.monotonic() - started)
        notify.notify("READY=1")
        await signals.wait_stop()
        notify.notify("STOPPING=1")
        for acceptor in accepting:
            acceptor.close()
        await server.close()


if __name__ == "__main__":
    main()
