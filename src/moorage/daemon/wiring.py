"""The composition root: every domain is made here, and closed in the reverse order."""

from __future__ import annotations

import hashlib
from contextlib import AsyncExitStack
from pathlib import Path

from moorage.daemon.config import Config
from moorage.engine.engine import Engine
from moorage.engine.settings import SystemSettings
from moorage.engine.system import Reports, System
from moorage.events.bus import Bus
from moorage.lib import ids
from moorage.spec.engine.system import (
    IndexInfo,
    RegistryServiceConfig,
    Runtime,
    SystemInfoDefaultAddressPool,
)
from moorage.storage.metadata import Database
from moorage.volumes.service import Volumes


async def build(config: Config, stack: AsyncExitStack) -> Engine:
    """Make and open all domains; *stack* closes them."""
    data_root, exec_root = Path(config.data_root), Path(config.exec_root)
    database = Database(data_root / "moorage.db")
    stack.callback(database.close)
    events = Bus()

    volumes = Volumes(
        root=data_root / "volumes", exec_root=exec_root, database=database, events=events
    )
    await volumes.open()
    stack.push_async_callback(volumes.close)

    reports = Reports()
    system = System(
        daemon_id=daemon_id(database),
        settings=system_settings(config),
        reports=reports,
        events=events,
    )
    return Engine(events=events, system=system, volumes=volumes)


def instance_of(data_root: Path) -> str:
    """Return 8 hexadecimal digits that tell daemons of one host apart."""
    return hashlib.sha256(str(data_root.resolve()).encode()).hexdigest()[:8]


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


def system_settings(config: Config) -> SystemSettings:
    """Return the part of the configuration that ``info`` shows."""
    runtimes = {name: Runtime(path=name) for name in ("crun", "runc")}
    for name, option in config.runtimes.items():
        runtimes[name] = Runtime(path=option.path, runtime_args=option.runtime_args or None)
    return SystemSettings(
        data_root=Path(config.data_root),
        debug=config.debug,
        labels=tuple(config.labels),
        experimental=config.experimental,
        live_restore=config.live_restore,
        log_driver=config.log_driver,
        default_runtime=config.default_runtime or "crun",
        runtimes=runtimes,
        init_path=config.init_path,
        http_proxy=config.proxies.http_proxy,
        https_proxy=config.proxies.https_proxy,
        no_proxy=config.proxies.no_proxy,
        address_pools=tuple(
            SystemInfoDefaultAddressPool(base=pool.base, size=pool.size)
            for pool in config.default_address_pools
        ),
        registry=_registry_config(config),
        seccomp_profile=config.seccomp_profile,
        no_new_privileges=config.no_new_privileges,
        cdi_spec_dirs=tuple(config.cdi_spec_dirs),
        authorization_plugins=tuple(config.authorization_plugins),
    )


def _registry_config(config: Config) -> RegistryServiceConfig:
    networks = [entry for entry in config.insecure_registries if "/" in entry]
    hosts = [entry for entry in config.insecure_registries if "/" not in entry]
    mirrors = [
        mirror if mirror.endswith("/") else mirror + "/" for mirror in config.registry_mirrors
    ]
    indexes = {
        "docker.io": IndexInfo(name="docker.io", mirrors=mirrors, secure=True, official=True),
        **{name: IndexInfo(name=name, mirrors=[], secure=False) for name in hosts},
    }
    return RegistryServiceConfig(
        insecure_registry_cid_rs=[*networks, "::1/128", "127.0.0.0/8"],
        index_configs=indexes,
        mirrors=mirrors,
    )
