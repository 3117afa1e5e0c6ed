"""What the system's operations tell of the daemon's configuration."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from moorage.spec.engine.system import (
    RegistryServiceConfig,
    Runtime,
    SystemInfoDefaultAddressPool,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class SystemSettings:
    """A part of the configuration; replaced as a whole on reload."""

    data_root: Path
    debug: bool = False
    labels: tuple[str, ...] = ()
    experimental: bool = False
    live_restore: bool = True
    log_driver: str = "json-file"
    default_runtime: str = "crun"
    runtimes: dict[str, Runtime] = field(default_factory=dict)
    init_path: str = ""
    http_proxy: str = ""
    https_proxy: str = ""
    no_proxy: str = ""
    address_pools: tuple[SystemInfoDefaultAddressPool, ...] = ()
    registry: RegistryServiceConfig = field(default_factory=RegistryServiceConfig)
    seccomp_profile: str = ""
    no_new_privileges: bool = False
    remapped: bool = False  # userns-remap is on
    authorization_plugins: tuple[str, ...] = ()
