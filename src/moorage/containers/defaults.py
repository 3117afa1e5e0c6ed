"""A host configuration with the daemon's defaults filled in (pure)."""

from __future__ import annotations

from collections.abc import Iterable

from msgspec import structs

from moorage.containers import terminal
from moorage.containers.settings import ContainerSettings
from moorage.runtime import defaults as runtime_defaults
from moorage.spec.engine.hostconfig import HostConfig, LogConfig, RestartPolicy, Ulimit


def host_config(
    given: HostConfig, settings: ContainerSettings, *, runtime: str, cgroup_v2: bool
) -> HostConfig:
    """Return *given* as it is saved and shown: every default explicit.

    *runtime* is the default that can be used on this host.
    """
    masked, readonly = _paths(given)
    return structs.replace(
        given,
        memory_swap=given.memory * 2
        if given.memory > 0 and not given.memory_swap
        else given.memory_swap,
        memory_swappiness=None if given.memory_swappiness == -1 else given.memory_swappiness,
        pids_limit=given.pids_limit or None,
        shm_size=given.shm_size or settings.shm_size,
        ipc_mode=given.ipc_mode or settings.ipc_mode,
        security_opt=_security_opt(given),
        cgroupns_mode=given.cgroupns_mode or _cgroupns(given, settings, cgroup_v2=cgroup_v2),
        cgroup_parent=given.cgroup_parent or settings.cgroup_parent,
        network_mode="bridge" if given.network_mode in {"", "default"} else given.network_mode,
        restart_policy=_restart_policy(given.restart_policy),
        log_config=_log_config(given.log_config, settings),
        ulimits=_ulimits(given.ulimits or (), settings.ulimits) or given.ulimits,
        runtime=given.runtime or runtime,
        masked_paths=masked,
        readonly_paths=readonly,
        console_size=list(terminal.size(given.console_size)),
    )


def _paths(given: HostConfig) -> tuple[list[str] | None, list[str] | None]:
    if given.privileged or "systempaths=unconfined" in (given.security_opt or ()):
        return given.masked_paths, given.readonly_paths
    masked, readonly = given.masked_paths, given.readonly_paths
    return (
        list(runtime_defaults.MASKED_PATHS) if masked is None else masked,
        list(runtime_defaults.READONLY_PATHS) if readonly is None else readonly,
    )


def _security_opt(given: HostConfig) -> list[str] | None:
    """A container that sees the host's processes or memory, or may do all, has no label."""
    options = given.security_opt or []
    unlabelled = given.privileged or "host" in {given.ipc_mode, given.pid_mode}
    if not unlabelled or any(option.split("=")[0] == "label" for option in options):
        return given.security_opt
    return [*options, "label=disable"]


def _cgroupns(given: HostConfig, settings: ContainerSettings, *, cgroup_v2: bool) -> str:
    if settings.cgroupns_mode:
        return settings.cgroupns_mode
    return "private" if cgroup_v2 and not given.privileged else "host"


def _restart_policy(given: RestartPolicy | None) -> RestartPolicy:
    if given is None or not given.name:
        return RestartPolicy(name="no")
    return given


def _log_config(given: LogConfig | None, settings: ContainerSettings) -> LogConfig:
    """The daemon's options count only for the daemon's driver."""
    driver = given.type if given and given.type else settings.log_driver
    own = (given.config if given else None) or {}
    inherited = settings.log_options if driver == settings.log_driver else {}
    return LogConfig(type=driver, config={**inherited, **own})


def _ulimits(given: Iterable[Ulimit], inherited: Iterable[Ulimit]) -> list[Ulimit]:
    own = list(given)
    names = {limit.name for limit in own}
    return [*own, *(limit for limit in inherited if limit.name not in names)]
