"""The server's half of ``moor info``."""

from __future__ import annotations

from moorage.lib import units

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from moorage.client.jsonwire import Json


def lines(info: Json) -> Iterator[str]:
    """Yield the page's lines, only those the daemon knows something about."""
    yield f" Containers: {info.get('Containers', 0)}"
    for state in ("Running", "Paused", "Stopped"):
        yield f"  {state}: {info.get(f'Containers{state}', 0)}"
    yield f" Images: {info.get('Images', 0)}"
    yield from _given(" Server Version", info.get("ServerVersion"))
    yield from _given(" Storage Driver", info.get("Driver"))
    yield from (f"  {name}: {value}" for name, value in info.get("DriverStatus") or ())
    yield from (f"  {name}: {value}" for name, value in info.get("SystemStatus") or ())
    yield from _given(" Logging Driver", info.get("LoggingDriver"))
    yield from _given(" Cgroup Driver", info.get("CgroupDriver"))
    yield from _given(" Cgroup Version", info.get("CgroupVersion"))
    yield from _plugins(info.get("Plugins") or {})
    yield from _cdi(info)
    yield from _swarm(info.get("Swarm") or {})
    yield from _runtimes(info)
    yield from _security(info)
    yield from _host(info)
    yield from _daemon(info)


def warnings(info: Json) -> list[str]:
    """Return what the daemon warns of."""
    return list(info.get("Warnings") or ())


def _given(label: str, value: object) -> Iterator[str]:
    if value:
        yield f"{label}: {value}"


def _plugins(plugins: Json) -> Iterator[str]:
    yield " Plugins:"
    yield f"  Volume: {' '.join(plugins.get('Volume') or ())}"
    yield f"  Network: {' '.join(plugins.get('Network') or ())}"
    if plugins.get("Authorization"):
        yield f"  Authorization: {' '.join(plugins['Authorization'])}"
    yield f"  Log: {' '.join(plugins.get('Log') or ())}"


def _cdi(info: Json) -> Iterator[str]:
    if info.get("CDISpecDirs"):
        yield " CDI spec directories:"
        yield from (f"  {directory}" for directory in info["CDISpecDirs"])
    if info.get("DiscoveredDevices"):
        yield " Discovered Devices:"
        yield from (f"  {d.get('Source')}: {d.get('ID')}" for d in info["DiscoveredDevices"])


def _swarm(swarm: Json) -> Iterator[str]:
    state = swarm.get("LocalNodeState") or "inactive"
    yield f" Swarm: {state}"
    if state == "inactive":
        return
    yield f"  NodeID: {swarm.get('NodeID', '')}"
    yield from _given("  Error", swarm.get("Error"))
    yield f"  Is Manager: {str(bool(swarm.get('ControlAvailable'))).lower()}"
    yield f"  Node Address: {swarm.get('NodeAddr', '')}"


def _runtimes(info: Json) -> Iterator[str]:
    if info.get("Runtimes"):
        yield f" Runtimes: {' '.join(sorted(info['Runtimes']))}"
        yield f" Default Runtime: {info.get('DefaultRuntime', '')}"
    if info.get("OSType") != "linux":
        return
    yield f" Init Binary: {info.get('InitBinary', '')}"
    for label, key in (
        ("containerd", "ContainerdCommit"),
        ("runc", "RuncCommit"),
        ("init", "InitCommit"),
    ):
        commit = info.get(key) or {}
        expected = commit.get("Expected")
        differs = f" (expected: {expected})" if expected and expected != commit.get("ID") else ""
        yield f" {label} version: {commit.get('ID', '')}{differs}"


def _security(info: Json) -> Iterator[str]:
    options = info.get("SecurityOptions") or ()
    if not options:
        return
    yield " Security Options:"
    for option in options:
        fields = dict(field.partition("=")[::2] for field in option.split(","))
        yield f"  {fields.pop('name', option)}"
        yield from (f"   {key.capitalize()}: {value}" for key, value in fields.items())


def _host(info: Json) -> Iterator[str]:
    yield from _given(" Kernel Version", info.get("KernelVersion"))
    yield from _given(" Operating System", info.get("OperatingSystem"))
    yield from _given(" OSType", info.get("OSType"))
    yield from _given(" Architecture", info.get("Architecture"))
    yield f" CPUs: {info.get('NCPU', 0)}"
    yield f" Total Memory: {units.human_size(info.get('MemTotal', 0), binary=True)}"
    yield from _given(" Name", info.get("Name"))
    yield from _given(" ID", info.get("ID"))
    yield f" Docker Root Dir: {info.get('DockerRootDir', '')}"


def _daemon(info: Json) -> Iterator[str]:
    debug = bool(info.get("Debug"))
    yield f" Debug Mode: {str(debug).lower()}"
    if debug:
        yield f"  File Descriptors: {info.get('NFd', 0)}"
        yield f"  Goroutines: {info.get('NGoroutines', 0)}"
        yield f"  System Time: {info.get('SystemTime', '')}"
        yield f"  EventsListeners: {info.get('NEventsListener', 0)}"
    for label, key in (
        (" HTTP Proxy", "HttpProxy"),
        (" HTTPS Proxy", "HttpsProxy"),
        (" No Proxy", "NoProxy"),
    ):
        yield from _given(label, info.get(key))
    if info.get("Labels"):
        yield " Labels:"
        yield from (f"  {label}" for label in info["Labels"])
    yield f" Experimental: {str(bool(info.get('ExperimentalBuild'))).lower()}"
    yield from _registries(info.get("RegistryConfig") or {})
    yield f" Live Restore Enabled: {str(bool(info.get('LiveRestoreEnabled'))).lower()}"
    yield from _given(" Product License", info.get("ProductLicense"))
    if info.get("DefaultAddressPools"):
        yield " Default Address Pools:"
        yield from (
            f"   Base: {pool['Base']}, Size: {pool['Size']}" for pool in info["DefaultAddressPools"]
        )


def _registries(config: Json) -> Iterator[str]:
    indexes = config.get("IndexConfigs") or {}
    insecure = [name for name, index in indexes.items() if not index.get("Secure")]
    networks = config.get("InsecureRegistryCIDRs") or []
    if insecure or networks:
        yield " Insecure Registries:"
        yield from (f"  {name}" for name in [*insecure, *networks])
    if config.get("Mirrors"):
        yield " Registry Mirrors:"
        yield from (f"  {mirror}" for mirror in config["Mirrors"])
