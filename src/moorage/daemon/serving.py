"""The life of the daemon: sockets, engine, requests, and the way back when it is told to stop."""

from __future__ import annotations

import asyncio
import gc
import logging
from contextlib import AsyncExitStack

from moorage.api import routing
from moorage.api.authz import PluginAuthorizer
from moorage.api.connection import Connection
from moorage.api.dispatch import Application, Observe
from moorage.api.metrics import Metrics, routes
from moorage.api.server import Server
from moorage.daemon import listeners, notify, tls, wiring
from moorage.daemon.commandline import CommandLine
from moorage.daemon.config import Config
from moorage.daemon.reload import Reloader
from moorage.daemon.signals import Signals, end_at_once
from moorage.daemon.validate import host_port, without_effect
from moorage.engine.engine import Engine
from moorage.lib import clock, heap
from moorage.lib.tasks import Supervisor

log = logging.getLogger(__name__)


async def serve(config: Config, line: CommandLine) -> None:
    """Serve until a signal to stop.

    Sockets are bound first, so that a clash is told before anything is touched; they answer once
    the engine is whole. At the end requests go first, then the domains in reverse order.
    """
    began = clock.monotonic()
    for warning in without_effect(config):
        log.warning("%s", warning)
    async with AsyncExitStack() as stack:
        context = tls.server_context(config)
        bound = listeners.bind_all(config)
        for listener in bound:
            stack.callback(listener.close)
        wired = await wiring.build(config, stack)
        engine = wired.engine
        observe = await _serve_metrics(config, engine, stack)
        application = Application(engine, routing.load(), observe=observe)

        def authorize(fresh: Config) -> None:
            names = fresh.authorization_plugins
            application.authorizer = PluginAuthorizer(wired.plugins, names) if names else None

        authorize(config)
        server = Server(application, Supervisor("requests"))
        signals = Signals(
            Reloader(line, config, [*wired.reload, authorize], engine.system.announce_reload)
        )
        acceptors = await listeners.serve(
            server, bound, tls=context, allowed_hosts=config.allowed_hosts
        )
        gc.collect()
        gc.freeze()  # what has been loaded stays: later collections need not look at it
        heap.give_back()
        log.info("daemon has completed initialization in %.3f s", clock.monotonic() - began)
        notify.notify("READY=1")
        await signals.wait_stop()
        notify.notify("STOPPING=1")
        if (limit_s := engine.containers.closing_limit_s) is not None:
            asyncio.get_running_loop().call_later(limit_s, end_at_once)
        for acceptor in acceptors:
            acceptor.close()
        await server.close()
    log.info("daemon has stopped")


async def _serve_metrics(config: Config, engine: Engine, stack: AsyncExitStack) -> Observe | None:
    """Serve ``--metrics-addr``; return what counts the requests of the API."""
    if not config.metrics_addr:
        return None
    counted = Metrics()
    engine.events.listen(counted.count_event)
    server = Server(Application(engine, routes(counted)), Supervisor("metrics"))
    host, port = host_port(config.metrics_addr)
    acceptor = await asyncio.get_running_loop().create_server(
        lambda: Connection(server, "tcp", None), host or None, port
    )
    stack.push_async_callback(server.close)
    stack.callback(acceptor.close)
    return counted.observe
