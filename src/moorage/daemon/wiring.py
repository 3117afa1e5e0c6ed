"""The composition root: every domain is made here, and closed in the reverse order."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path

from moorage.daemon import domain_settings as settings
from moorage.daemon.config import Config
from moorage.daemon.reload import Apply
from moorage.engine.engine import Engine
from moorage.engine.system import Reports, System
from moorage.events.bus import Bus
from moorage.lib import ids
from moorage.lib.tasks import Supervisor
from moorage.lib.version import VERSION
from moorage.networks.service import Networks
from moorage.plugins.discovery import Discovery
from moorage.plugins.registry import Plugins
from moorage.storage.metadata import Database
from moorage.volumes.service import Volumes


@dataclass(frozen=True, slots=True)
class Wired:
    """The engine, the plugins, and what is told of a reloaded configuration."""

    engine: Engine
    plugins: Plugins
    reload: Sequence[Apply]


async def build(config: Config, stack: AsyncExitStack) -> Wired:
    """Make and open all domains; *stack* closes them."""
    data_root, exec_root = Path(config.data_root), Path(config.exec_root)
    database = Database(data_root / "moorage.db")
    stack.callback(database.close)
    events = Bus()
    background = Supervisor("background")
    stack.push_async_callback(background.close)
    plugins = Plugins(Discovery(), user_agent=f"moorage/{VERSION}")
    stack.push_async_callback(plugins.close)

    volumes = Volumes(
        root=data_root / "volumes",
        exec_root=exec_root,
        database=database,
        events=events,
        plugins=plugins,
    )
    await volumes.open()
    stack.push_async_callback(volumes.close)

    networks = Networks(
        config=settings.networks_config(config),
        database=database,
        events=events,
        supervisor=background,
    )
    stack.push_async_callback(networks.close)
    await networks.open()

    system = System(
        daemon_id=daemon_id(database),
        settings=settings.system_settings(config),
        reports=Reports(),
        events=events,
    )

    def reload_system(fresh: Config) -> None:
        system.settings = settings.system_settings(fresh)

    engine = Engine(events=events, system=system, volumes=volumes, networks=networks)
    return Wired(engine, plugins, [reload_system])


def daemon_id(database: Database) -> str:
    """Return the id of this installation, made once."""
    database.migrate(
        "daemon", ["CREATE TABLE daemon (key TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT"]
    )
    with database.transaction():
        row = database.one("SELECT value FROM daemon WHERE key = 'id'")
        if row is not None:
            return str(row["value"])
        digits = ids.new_id()
        fresh = "-".join((digits[:8], digits[8:12], digits[12:16], digits[16:20], digits[20:32]))
        database.execute("INSERT INTO daemon VALUES ('id', ?)", fresh)
        return fresh
