"""The HostConfig and NetworkingConfig of ``create`` and ``run``."""

from __future__ import annotations

from moorage.cli.failure import CommandError
from moorage.cli.specs import devices
from moorage.cli.specs.networks import Attachment

TYPE_CHECKING = False
if TYPE_CHECKING:
    from moorage.cli.options import Values
    from moorage.cli.session import Session
    from moorage.cli.specs.ports import Bindings
    from moorage.client.jsonwire import Json

SEVERAL_NETWORKS = "1.44"  # API version that takes more than one endpoint at creation
LOWEST_SWAPPINESS = -1

# field of HostConfig → flag, by the shape of the value
_TEXTS = {
    "VolumeDriver": "volume-driver",
    "IpcMode": "ipc",
    "PidMode": "pid",
    "UTSMode": "uts",
    "UsernsMode": "userns",
    "CgroupnsMode": "cgroupns",
    "CgroupParent": "cgroup-parent",
    "CpusetCpus": "cpuset-cpus",
    "CpusetMems": "cpuset-mems",
    "Isolation": "isolation",
    "Runtime": "runtime",
    "ContainerIDFile": "cidfile",
}
_NUMBERS = {
    "CpuShares": "cpu-shares",
    "Memory": "memory",
    "NanoCpus": "cpus",
    "BlkioWeight": "blkio-weight",
    "CpuPeriod": "cpu-period",
    "CpuQuota": "cpu-quota",
    "CpuRealtimePeriod": "cpu-rt-period",
    "CpuRealtimeRuntime": "cpu-rt-runtime",
    "KernelMemory": "kernel-memory",
    "MemoryReservation": "memory-reservation",
    "MemorySwap": "memory-swap",
    "OomScoreAdj": "oom-score-adj",
    "ShmSize": "shm-size",
    "PidsLimit": "pids-limit",
}
_NULLABLE_LISTS = {  # docker sends null for these when they are empty, and inspect shows it
    "GroupAdd": "group-add",
    "VolumesFrom": "volumes-from",
    "DeviceCgroupRules": "device-cgroup-rule",
}
_LISTS = {
    "Dns": "dns",
    "DnsSearch": "dns-search",
    "BlkioWeightDevice": "blkio-weight-device",
    "BlkioDeviceReadBps": "device-read-bps",
    "BlkioDeviceWriteBps": "device-write-bps",
    "BlkioDeviceReadIOps": "device-read-iops",
    "BlkioDeviceWriteIOps": "device-write-iops",
    "Ulimits": "ulimit",
}
_FLAGS = {
    "AutoRemove": "rm",
    "Privileged": "privileged",
    "PublishAllPorts": "publish-all",
    "ReadonlyRootfs": "read-only",
    "OomKillDisable": "oom-kill-disable",
}
_MAPS = {"StorageOpt": "storage-opt", "Sysctls": "sysctl", "Annotations": "annotation"}


def volumes(values: Values) -> tuple[list[str], list[str]]:
    """Return binds, and paths that get an anonymous volume."""
    if not values.changed("volume"):
        return [], []
    from moorage.cli.specs import mounts

    try:
        found = [mounts.volume(spec) for spec in values.many("volume")]
    except ValueError as e:
        raise CommandError(str(e)) from e
    return [bind for bind, _ in found if bind], [path for _, path in found if path]


def host_config(session: Session, values: Values, bindings: Bindings, binds: list[str]) -> Json:
    """Translate the flags that describe the container's place on the host."""
    host: Json = {
        "Binds": binds or None,
        "LogConfig": {
            "Type": values.text("log-driver"),
            "Config": _log_options(values),
        },
        "PortBindings": bindings,
        "RestartPolicy": restart_policy(values.text("restart")),
        "DnsOptions": values.many("dns-option") + values.many("dns-opt"),
        "ExtraHosts": [_extra_host(spec) for spec in values.many("add-host")] or None,
        "Links": values.many("link"),
    }
    host |= {field: values.text(name) for field, name in _TEXTS.items()}
    host |= {field: values.number(name) for field, name in _NUMBERS.items()}
    host |= {field: values.many(name) for field, name in _LISTS.items()}
    host |= {field: values.many(name) or None for field, name in _NULLABLE_LISTS.items()}
    host["CapAdd"], host["CapDrop"] = capabilities(values.many("cap-add"), values.many("cap-drop"))
    host |= {field: values.flag(name) for field, name in _FLAGS.items()}
    host |= {field: values.pairs(name) for field, name in _MAPS.items() if values.changed(name)}
    if values.changed("init"):
        host["Init"] = values.flag("init")
    if values.changed("memory-swappiness"):
        host["MemorySwappiness"] = _swappiness(values.number("memory-swappiness"))
    if values.flag("rm") and values.text("restart") not in {"", "no"}:
        raise CommandError("conflicting options: cannot specify both --restart and --rm")
    _devices(values, host)
    _security(values, host)
    if values.changed("mount"):
        host["Mounts"] = values.many("mount")
    if values.changed("tmpfs"):
        from moorage.cli.specs import mounts

        host["Tmpfs"] = dict(mounts.tmpfs(spec) for spec in values.many("tmpfs"))
    if values.flag("use-api-socket"):
        _api_socket(session, host)
    return host


def _log_options(values: Values) -> dict[str, str]:
    options = dict(spec.partition("=")[::2] for spec in values.many("log-opt"))
    if values.text("log-driver") == "none" and options:
        raise CommandError("invalid logging opts for driver none")
    return options


def capabilities(added: list[str], dropped: list[str]) -> tuple[list[str] | None, list[str] | None]:
    """Return the names as the kernel spells them; what is added by name is not dropped by name."""
    add, drop = ({_capability(name) for name in names} for names in (added, dropped))
    if "ALL" in add:
        add = {"ALL"}
    drop = {"ALL"} if "ALL" in drop else drop - add
    return sorted(add) or None, sorted(drop) or None


def _capability(name: str) -> str:
    upper = name.strip().upper()
    return upper if upper == "ALL" or upper.startswith("CAP_") else f"CAP_{upper}"


def _swappiness(value: int) -> int:
    if value != LOWEST_SWAPPINESS and not 0 <= value <= 100:
        raise CommandError(f"invalid value: {value}. Valid memory swappiness range is 0-100")
    return value


def restart_policy(text: str) -> Json:
    """Parse ``--restart``."""
    name, colon, count = text.partition(":")
    policy: Json = {"Name": name, "MaximumRetryCount": 0}
    if colon:
        if not count.isdigit():
            raise CommandError(
                "invalid restart policy format: maximum retry count must be an integer"
            )
        policy["MaximumRetryCount"] = int(count)
    return policy


def _extra_host(spec: str) -> str:
    name, separator, address = spec.partition("=" if "=" in spec.partition(":")[0] else ":")
    address = address.removeprefix("[").removesuffix("]")
    if not name or not separator or not address:
        raise CommandError(f'bad format for add-host: "{spec}"')
    return f"{name}:{address}"


def _devices(values: Values, host: Json) -> None:
    plain = [spec for spec in values.many("device") if not devices.is_cdi(spec)]
    named = [spec for spec in values.many("device") if devices.is_cdi(spec)]
    host["Devices"] = [devices.device(spec) for spec in plain]
    requests: list[Json] = []
    if "gpus" in values.given:
        requests.append(values.given["gpus"])
    if named:
        requests.append({"Driver": "cdi", "DeviceIDs": named})
    host["DeviceRequests"] = requests or None


def _security(values: Values, host: Json) -> None:
    """Read profiles from their files; ``systempaths=unconfined`` becomes empty path lists."""
    options: list[str] = []
    for option in values.many("security-opt"):
        key, _, value = option.partition("=") if "=" in option else option.partition(":")
        if key == "systempaths" and value == "unconfined":
            host["MaskedPaths"], host["ReadonlyPaths"] = [], []
            continue
        if key == "seccomp" and value not in {"unconfined", "builtin"}:
            option = f"seccomp={_profile(value)}"  # noqa: PLW2901
        options.append(option)
    host["SecurityOpt"] = options or None


def _profile(path: str) -> str:
    from moorage.client import jsonwire

    try:
        with open(path, "rb") as file:
            return jsonwire.encode(jsonwire.decode(file.read()))
    except OSError as e:
        raise CommandError(f"opening seccomp profile ({path}) failed: {e.strerror}") from e
    except ValueError as e:
        raise CommandError(f"compacting json for seccomp profile ({path}) failed: {e}") from e


def _api_socket(session: Session, host: Json) -> None:
    endpoint = session.endpoint
    if endpoint.scheme != "unix":
        raise CommandError(f"--use-api-socket needs a unix socket, not {endpoint.host}")
    mount = {"Type": "bind", "Source": endpoint.address, "Target": "/var/run/docker.sock"}
    host.setdefault("Mounts", []).append(mount)


def networking(session: Session, values: Values, body: Json) -> list[tuple[str, Json]]:
    """Set NetworkMode and endpoints; return those that must be connected after creation."""
    attachments = values.many("network") + values.many("net")
    given = bool(attachments)
    if not given:
        attachments = [Attachment("default")]
    if len({attachment.target for attachment in attachments}) != len(attachments):
        raise CommandError("network is specified multiple times")
    kinds = {attachment.user_defined for attachment in attachments}
    if len(kinds) > 1:
        raise CommandError(
            "conflicting options: cannot attach both user-defined and non-user-defined "
            "network-modes"
        )
    first, *others = attachments
    _legacy_flags(values, first)
    if first.endpoint.get("MacAddress") and (
        not given or not session.api.at_least(SEVERAL_NETWORKS)
    ):
        body["MacAddress"] = first.endpoint["MacAddress"]
    body["HostConfig"]["NetworkMode"] = first.target
    if first.user_defined:
        body["HostConfig"]["Links"] = None  # they are the endpoint's
    endpoints = {first.target: first.endpoint} if first.user_defined or first.endpoint else {}
    later: list[tuple[str, Json]] = []
    if others and not session.api.at_least(SEVERAL_NETWORKS):
        later = [(attachment.target, attachment.endpoint) for attachment in others]
    else:
        endpoints |= {attachment.target: attachment.endpoint for attachment in others}
    body["NetworkingConfig"] = {"EndpointsConfig": endpoints}
    return later


def _legacy_flags(values: Values, first: Attachment) -> None:
    """Apply ``--ip``, ``--network-alias`` and the like, which mean the first network."""
    if aliases := values.many("network-alias") + values.many("net-alias"):
        if first.endpoint.get("Aliases"):
            raise CommandError(
                "conflicting options: cannot specify both --network-alias and per-network alias"
            )
        first.endpoint["Aliases"] = aliases
    if values.text("ip"):
        first.address("IPv4Address", values.text("ip"))
    if values.text("ip6"):
        first.address("IPv6Address", values.text("ip6"))
    if local := values.many("link-local-ip"):
        first.endpoint.setdefault("IPAMConfig", {})["LinkLocalIPs"] = local
    if values.text("mac-address"):
        first.endpoint["MacAddress"] = values.text("mac-address")
    if (links := values.many("link")) and first.user_defined:
        first.endpoint["Links"] = links
