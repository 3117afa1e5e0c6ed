"""What concerns all domains at once: version, info, disk usage."""

from __future__ import annotations

import os
import platform
import threading
from collections.abc import Awaitable, Callable, Collection
from dataclasses import dataclass
from typing import Final

from msgspec import UNSET, structs

from moorage.cdi.directories import Directories
from moorage.engine import host
from moorage.engine.settings import SystemSettings
from moorage.engine.usage import DataUsage, Sources, data_usage
from moorage.events.bus import Bus
from moorage.lib import clock, offload
from moorage.lib.version import VERSION
from moorage.spec.engine.system import (
    Commit,
    DeviceInfo,
    FirewallInfo,
    PluginsInfo,
    SwarmInfo,
    SystemInfo,
    SystemVersion,
    SystemVersionComponent,
    SystemVersionPlatform,
)

API_VERSION: Final = "1.55"
MIN_API_VERSION: Final = "1.24"
INDEX_SERVER: Final = "https://index.docker.io/v1/"


@dataclass(frozen=True, slots=True, kw_only=True)
class Counts:
    """How many objects there are."""

    running: int = 0
    paused: int = 0
    stopped: int = 0
    images: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class RuntimeVersion:
    """What the default runtime says of itself."""

    name: str = ""
    version: str = ""
    commit: str = ""


@dataclass(slots=True, kw_only=True)
class Reports:
    """What the domains tell ``info``; functions are asked at the time of the request."""

    counts: Callable[[], Counts]
    plugins: Callable[[str], Awaitable[list[str]]]  # names by subsystem, such as VolumeDriver
    network_drivers: list[str]
    log_drivers: list[str]
    storage_driver: str
    storage_status: Callable[[], list[list[str]]]
    cgroup_version: str
    cgroup_driver: str
    cgroup_controllers: frozenset[str]
    swap_limit: bool
    warnings: Callable[[], list[str]]
    cdi: Directories
    apparmor: bool  # whether containers have profiles
    selinux: bool  # whether containers have labels
    runtime_status: Callable[[str], Awaitable[dict[str, str] | None]]  # of a program
    runtime: RuntimeVersion = RuntimeVersion()


class System:
    """The daemon as a whole."""

    def __init__(
        self,
        *,
        daemon_id: str,
        settings: SystemSettings,
        reports: Reports,
        usage: Sources,
        events: Bus,
    ) -> None:
        self._id = daemon_id
        self.settings = settings
        self._reports = reports
        self._usage = usage
        self._events = events

    def version(self) -> SystemVersion:
        """Return the versions of the daemon and of what it stands on."""
        details: dict[str, object] = {
            "ApiVersion": API_VERSION,
            "Arch": host.go_arch(),
            "BuildTime": "",
            "Experimental": str(self.settings.experimental).lower(),
            "GitCommit": VERSION,
            "GoVersion": f"python{platform.python_version()}",
            "KernelVersion": host.kernel_version(),
            "MinAPIVersion": MIN_API_VERSION,
            "Os": "linux",
        }
        components = [SystemVersionComponent(name="Engine", version=VERSION, details=details)]
        runtime = self._reports.runtime
        if runtime.name:
            commit: dict[str, object] = {"GitCommit": runtime.commit}
            components.append(
                SystemVersionComponent(name=runtime.name, version=runtime.version, details=commit)
            )
        return SystemVersion(
            platform=SystemVersionPlatform(name="Moorage"),
            components=components,
            version=VERSION,
            api_version=API_VERSION,
            min_api_version=MIN_API_VERSION,
            git_commit=VERSION,
            go_version=f"python{platform.python_version()}",
            os="linux",
            arch=host.go_arch(),
            kernel_version=host.kernel_version(),
            experimental=self.settings.experimental or UNSET,
        )

    async def info(self) -> SystemInfo:
        """Return what the daemon knows of itself and its host."""
        settings, reports = self.settings, self._reports
        counts = reports.counts()
        found = await offload.run("fs", reports.cdi.read)
        has = reports.cgroup_controllers.__contains__
        return SystemInfo(
            id=self._id,
            containers=counts.running + counts.paused + counts.stopped,
            containers_running=counts.running,
            containers_paused=counts.paused,
            containers_stopped=counts.stopped,
            images=counts.images,
            driver=reports.storage_driver,
            driver_status=reports.storage_status(),
            docker_root_dir=str(settings.data_root),
            plugins=PluginsInfo(
                volume=["local", *await reports.plugins("VolumeDriver")],
                network=[*reports.network_drivers, *await reports.plugins("NetworkDriver")],
                authorization=list(settings.authorization_plugins) or None,
                log=reports.log_drivers,
            ),
            memory_limit=has("memory"),
            swap_limit=reports.swap_limit,
            cpu_cfs_period=has("cpu"),
            cpu_cfs_quota=has("cpu"),
            cpu_shares=has("cpu"),
            cpu_set=has("cpuset"),
            pids_limit=has("pids"),
            oom_kill_disable=has("memory") and reports.cgroup_version == "1",
            ipv4_forwarding=host.flag_file("/proc/sys/net/ipv4/ip_forward"),
            debug=settings.debug,
            n_fd=host.open_files(),
            n_goroutines=threading.active_count(),
            system_time=clock.rfc3339(clock.now_ns()),
            logging_driver=settings.log_driver,
            cgroup_driver=reports.cgroup_driver,
            cgroup_version=reports.cgroup_version,
            n_events_listener=self._events.subscriber_count,
            kernel_version=host.kernel_version(),
            operating_system=host.operating_system(),
            os_version=host.os_release().get("VERSION_ID", ""),
            os_type="linux",
            architecture=host.machine(),
            ncpu=host.cpu_count(),
            mem_total=host.memory_total(),
            index_server_address=INDEX_SERVER,
            registry_config=settings.registry,
            http_proxy=_masked(settings.http_proxy),
            https_proxy=_masked(settings.https_proxy),
            no_proxy=settings.no_proxy,
            name=platform.node(),
            labels=list(settings.labels),
            experimental_build=settings.experimental,
            server_version=VERSION,
            runtimes={
                name: structs.replace(shown, status=await reports.runtime_status(shown.path))
                for name, shown in settings.runtimes.items()
            },
            default_runtime=settings.default_runtime,
            swarm=SwarmInfo(local_node_state="inactive"),
            live_restore_enabled=settings.live_restore,
            init_binary=settings.init_path,
            containerd_commit=Commit(),
            runc_commit=Commit(id=reports.runtime.commit),
            init_commit=Commit(),
            security_options=self._security_options(),
            default_address_pools=list(settings.address_pools) or UNSET,
            firewall_backend=FirewallInfo(driver="nftables"),
            cdi_spec_dirs=list(reports.cdi.paths),
            discovered_devices=[DeviceInfo(source="cdi", id=name) for name in found.devices]
            or UNSET,
            warnings=[*reports.warnings(), *found.warnings()],
        )

    async def data_usage(self, kinds: Collection[str], *, verbose: bool) -> DataUsage:
        """Return what the objects of each kind take on the disk. Raises: InvalidParameter."""
        return await data_usage(self._usage, kinds, verbose=verbose)

    def metrics(self) -> list[str]:
        """Return the state of the daemon as samples for Prometheus."""
        counts = self._reports.counts()
        states = {"paused": counts.paused, "running": counts.running, "stopped": counts.stopped}
        name = "engine_daemon_container_states_containers"
        times = os.times()
        version = f'version="{VERSION}",os="linux",architecture="{host.machine()}"'
        return [
            f"# TYPE {name} gauge",
            *(f'{name}{{state="{state}"}} {count}' for state, count in states.items()),
            "# TYPE engine_daemon_engine_cpus_cpus gauge",
            f"engine_daemon_engine_cpus_cpus {host.cpu_count()}",
            "# TYPE engine_daemon_engine_memory_bytes gauge",
            f"engine_daemon_engine_memory_bytes {host.memory_total()}",
            "# TYPE engine_daemon_engine_info gauge",
            f'engine_daemon_engine_info{{daemon_id="{self._id}",{version}}} 1',
            "# TYPE engine_daemon_events_subscribers_total gauge",
            f"engine_daemon_events_subscribers_total {self._events.subscriber_count}",
            "# TYPE process_open_fds gauge",
            f"process_open_fds {host.open_files()}",
            "# TYPE process_resident_memory_bytes gauge",
            f"process_resident_memory_bytes {host.resident_memory()}",
            "# TYPE process_cpu_seconds_total counter",
            f"process_cpu_seconds_total {times.user + times.system:.2f}",
        ]

    def announce_reload(self, attributes: dict[str, str]) -> None:
        """Tell that the configuration was reloaded."""
        self._events.publish("daemon", "reload", self._id, {"name": platform.node(), **attributes})

    def _security_options(self) -> list[str]:
        profile = self.settings.seccomp_profile or "builtin"
        options = ["name=apparmor"] if self._reports.apparmor else []
        options.append(f"name=seccomp,profile={profile}")
        if self._reports.selinux:
            options.append("name=selinux")
        if self._reports.cgroup_version == "2":
            options.append("name=cgroupns")
        if self.settings.remapped:
            options.append("name=userns")
        if self.settings.no_new_privileges:
            options.append("name=no-new-privileges")
        return options


def _masked(url: str) -> str:
    """Return a proxy's URL with its password taken out."""
    head, at, rest = url.rpartition("@")
    scheme, separator, _ = head.partition("://")
    return f"{scheme}{separator}xxxxx:xxxxx@{rest}" if at else url
