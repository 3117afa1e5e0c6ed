"""From the configuration to the settings of each domain."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path
from typing import Final

from msgspec import UNSET

from moorage.build.settings import Settings as BuilderSettings
from moorage.containers import init_program
from moorage.containers.settings import ContainerSettings
from moorage.daemon import cachepolicy, validate
from moorage.daemon.config import Config
from moorage.engine.settings import SystemSettings
from moorage.kernel.idmap import IdMap
from moorage.lib.units import parse_bytes
from moorage.networks.config import AddressPool, NetworksConfig
from moorage.registry.proxies import Proxies
from moorage.registry.settings import RegistrySettings, parse_insecure, parse_mirrors
from moorage.runtime.contract import RuntimeConfig
from moorage.runtime.host import Fitness
from moorage.spec.engine.system import (
    IndexInfo,
    RegistryServiceConfig,
    Runtime,
    SystemInfoDefaultAddressPool,
)
from moorage.spec.platforms import Platform

BUILT_IN_RUNTIMES: Final = ("crun", "runc")


def instance_of(data_root: Path) -> str:
    """Return 8 hexadecimal digits that tell daemons of one host apart."""
    return hashlib.sha256(str(data_root.resolve()).encode()).hexdigest()[:8]


def storage_options(config: Config) -> dict[str, str]:
    """Return ``storage-opts`` as a mapping; the driver knows which there are."""
    return dict(option.partition("=")[::2] for option in config.storage_opts)


def container_settings(
    config: Config, *, storage_driver: str, owners: IdMap | None
) -> ContainerSettings:
    """Return what containers get that do not say it themselves."""
    return ContainerSettings(
        data_root=Path(config.data_root),
        exec_root=Path(config.exec_root),
        shm_size=parse_bytes(config.default_shm_size),
        ulimits=tuple(config.default_ulimits.values()),
        init=config.init,
        init_path=config.init_path,
        log_driver=config.log_driver,
        log_options=config.log_opts,
        cgroup_parent=config.cgroup_parent,
        cgroupns_mode=config.default_cgroupns_mode,
        ipc_mode=config.default_ipc_mode,
        seccomp_profile=config.seccomp_profile,
        no_new_privileges=config.no_new_privileges,
        storage_driver=storage_driver,
        shutdown_timeout_s=config.shutdown_timeout,
        live_restore=config.live_restore,
        owners=owners,
    )


def cgroup_driver(config: Config) -> str:
    """Return who is to make control groups; "" leaves it to the host."""
    chosen = [
        value
        for key, value in map(validate.split_exec_option, config.exec_opts)
        if key == validate.CGROUP_DRIVER
    ]
    return chosen[0] if chosen else ""


def cdi_directories(config: Config) -> tuple[str, ...]:
    """Return where files that describe devices are looked for; none switches CDI off."""
    if not config.features.get("cdi", True):
        return ()
    return tuple(filter(None, config.cdi_spec_dirs))  # dockerd's way to say none is one empty name


def runtime_configs(config: Config) -> dict[str, RuntimeConfig]:
    """Return the OCI runtimes by name: the built-in ones and those configured."""
    runtimes = {name: RuntimeConfig(path=name) for name in BUILT_IN_RUNTIMES}
    for name, option in config.runtimes.items():
        runtimes[name] = RuntimeConfig(path=option.path, args=tuple(option.runtime_args))
    return runtimes


def registry_settings(config: Config) -> RegistrySettings:
    """Return how registries are reached; proxies of the file go before the environment's."""
    hosts, networks = parse_insecure(config.insecure_registries)
    environment = Proxies.from_environment(os.environ)
    return RegistrySettings(
        mirrors=parse_mirrors(config.registry_mirrors),
        insecure_hosts=hosts,
        insecure_networks=networks,
        proxies=Proxies(
            http=config.proxies.http_proxy or environment.http,
            https=config.proxies.https_proxy or environment.https,
            exceptions=config.proxies.no_proxy or environment.exceptions,
        ),
        max_concurrent_downloads=config.max_concurrent_downloads,
        max_concurrent_uploads=config.max_concurrent_uploads,
        max_download_attempts=config.max_download_attempts,
    )


def builder_settings(config: Config, platform: Platform) -> BuilderSettings:
    """Return the builder's settings: what steps may ask for, how large its cache may grow."""
    usual = BuilderSettings(platform=platform)
    switches = config.builder.entitlements.items()
    given = {name.replace("-", ".", 1): permitted for name, permitted in switches}
    return BuilderSettings(
        platform=platform,
        entitlements=frozenset(
            name
            for name in {*usual.entitlements, *given}
            if given.get(name, name in usual.entitlements)
        ),
        cache_rules=cachepolicy.rules(config.builder.gc),
    )


def networks_config(config: Config) -> NetworksConfig:
    """Return the settings of the networks."""
    data_root = Path(config.data_root)
    pools = [AddressPool(base=pool.base, size=pool.size) for pool in config.default_address_pools]
    return NetworksConfig(
        state_root=data_root / "networks",
        exec_root=Path(config.exec_root),
        instance=instance_of(data_root),
        bridge=config.bridge,
        bip=config.bip,
        bip6=config.bip6,
        fixed_cidr=config.fixed_cidr,
        fixed_cidr_v6=config.fixed_cidr_v6,
        default_gateway=config.default_gateway,
        default_gateway_v6=config.default_gateway_v6,
        default_address_pools=pools,
        default_network_opts=config.default_network_opts,
        ip=config.ip,
        ipv6=config.ipv6,
        icc=config.icc,
        ip_forward=config.ip_forward,
        ip_masq=config.ip_masq,
        mtu=config.mtu,
        dns=config.dns,
        dns_search=config.dns_search,
        dns_opts=config.dns_opts,
        host_gateway_ips=config.host_gateway_ips,
        allow_direct_routing=config.allow_direct_routing,
        names_on_default_bridge=config.names_on_default_bridge,
        firewall=config.host_firewall,
        cluster_store=config.cluster_store,
        cluster_store_opts=config.cluster_store_opts,
        cluster_advertise=config.cluster_advertise,
    )


def system_settings(config: Config, fitness: Fitness, *, remapped: bool) -> SystemSettings:
    """Return the part of the configuration that ``info`` shows; *fitness* says what is there."""
    runtimes = {
        name: Runtime(path=runtime.path, runtime_args=list(runtime.args) or UNSET)
        for name, runtime in runtime_configs(config).items()
        if name in fitness.runtimes or name in config.runtimes
    }
    return SystemSettings(
        data_root=Path(config.data_root),
        debug=config.debug,
        labels=tuple(config.labels),
        experimental=config.experimental,
        live_restore=config.live_restore,
        log_driver=config.log_driver,
        default_runtime=fitness.default,
        runtimes=runtimes,
        init_path=config.init_path or init_program.find_any(),
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
        remapped=remapped,
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
