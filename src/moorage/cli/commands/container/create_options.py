"""The flags that ``create`` and ``run`` share."""

from __future__ import annotations

from moorage.cli.options import Option
from moorage.cli.refusals import NO_TRUST, WINDOWS
from moorage.cli.specs import environment


def _attach(stream: str) -> str:
    lowered = stream.lower()
    if lowered not in {"stdin", "stdout", "stderr"}:
        raise ValueError("valid streams are STDIN, STDOUT and STDERR")
    return lowered


def _mount(text: str) -> object:
    from moorage.cli.specs import mounts

    return mounts.mount(text)


def _network(text: str) -> object:
    from moorage.cli.specs import networks

    return networks.network(text)


def _ulimit(text: str) -> object:
    from moorage.cli.specs import devices

    return devices.ulimit(text)


def _byte_rate(text: str) -> object:
    from moorage.cli.specs import devices

    return devices.byte_rate(text)


def _operation_rate(text: str) -> object:
    from moorage.cli.specs import devices

    return devices.operation_rate(text)


def _weight(text: str) -> object:
    from moorage.cli.specs import devices

    return devices.weight(text)


def _gpus(text: str) -> object:
    from moorage.cli.specs import devices

    return devices.gpus(text)


def _link_local(text: str) -> str:
    return text


_IDENTITY = (
    Option("annotation", "", "map", "Add an annotation for the OCI runtime"),
    Option("attach", "a", "list", "Attach to STDIN, STDOUT or STDERR", check=_attach),
    Option("cidfile", "", "string", "Write the container's ID to this file", choices="files"),
    Option("domainname", "", "string", "NIS domain name"),
    Option("entrypoint", "", "string", "Program to run instead of the image's entry point"),
    Option("env", "e", "list", "Set an environment variable", check=environment.check_variable),
    Option("env-file", "", "list", "Read environment variables from a file", choices="files"),
    Option("hostname", "h", "string", "Host name inside the container"),
    Option("init", "", "bool", "Run an init that forwards signals and reaps processes"),
    Option("interactive", "i", "bool", "Keep standard input open"),
    Option("label", "l", "list", "Set a label", check=environment.check_label),
    Option("label-file", "", "list", "Read labels from a file", choices="files"),
    Option("name", "", "string", "Name of the container"),
    Option("platform", "", "string", "Platform of the image, such as linux/arm64"),
    Option(
        "pull",
        "",
        "string",
        'When to pull the image ("always", "missing", "never")',
        "missing",
        choices="always missing never",
    ),
    Option("quiet", "q", "bool", "Do not show the pull's progress"),
    Option(
        "restart",
        "",
        "string",
        "When to start the container again after it ended",
        "no",
        choices="no always unless-stopped on-failure",
    ),
    Option("rm", "", "bool", "Remove the container and its anonymous volumes when it ends"),
    Option("runtime", "", "string", "OCI runtime to use"),
    Option(
        "stop-signal", "", "string", "Signal that asks the container to stop", choices="signals"
    ),
    Option("stop-timeout", "", "int", "Seconds a stop waits before it kills"),
    Option("tty", "t", "bool", "Give the container a terminal"),
    Option("user", "u", "string", "User to run as (<name|uid>[:<group|gid>])"),
    Option("workdir", "w", "string", "Directory to start in"),
)

_HEALTH = (
    Option("health-cmd", "", "string", "Command that checks the container's health"),
    Option("health-interval", "", "duration", "Time between two checks (ms|s|m|h)"),
    Option("health-retries", "", "int", "Failures in a row that make it unhealthy"),
    Option("health-start-interval", "", "duration", "Time between checks while it starts"),
    Option("health-start-period", "", "duration", "Time in which failures do not count"),
    Option("health-timeout", "", "duration", "Longest time one check may take"),
    Option("no-healthcheck", "", "bool", "Ignore the image's health check"),
)

_LIMITS = (
    Option("blkio-weight", "", "uint16", "Share of block I/O, 10 to 1000; 0 is none"),
    Option("blkio-weight-device", "", "list", "Share of one device's I/O", check=_weight),
    Option("cgroup-parent", "", "string", "Control group to put the container under"),
    Option("cgroupns", "", "string", "Control group namespace", choices="host private"),
    *WINDOWS,
    Option("cpu-period", "", "int", "Period of the CPU scheduler, in microseconds"),
    Option("cpu-quota", "", "int", "CPU time in each period, in microseconds"),
    Option("cpu-rt-period", "", "int", "Period of the real-time scheduler, in microseconds"),
    Option("cpu-rt-runtime", "", "int", "Real-time CPU time in each period, in microseconds"),
    Option("cpu-shares", "c", "int", "Relative share of CPU time"),
    Option("cpus", "", "decimal", "Number of CPUs, such as 1.5"),
    Option("cpuset-cpus", "", "string", "CPUs to run on (0-3, 0,1)"),
    Option("cpuset-mems", "", "string", "Memory nodes to use (0-3, 0,1)"),
    Option(
        "device-read-bps", "", "list", "Limit bytes read per second from a device", check=_byte_rate
    ),
    Option(
        "device-read-iops",
        "",
        "list",
        "Limit reads per second from a device",
        check=_operation_rate,
    ),
    Option(
        "device-write-bps",
        "",
        "list",
        "Limit bytes written per second to a device",
        check=_byte_rate,
    ),
    Option(
        "device-write-iops",
        "",
        "list",
        "Limit writes per second to a device",
        check=_operation_rate,
    ),
    Option("kernel-memory", "", "bytes", "Limit of kernel memory"),
    Option("memory", "m", "bytes", "Limit of memory"),
    Option("memory-reservation", "", "bytes", "Soft limit of memory"),
    Option("memory-swap", "", "swap", "Limit of memory and swap together; -1 is no limit"),
    Option("memory-swappiness", "", "int", "Tendency to swap, 0 to 100", -1),
    Option("oom-kill-disable", "", "bool", "Do not kill when memory runs out"),
    Option("oom-score-adj", "", "int", "Preference for being killed, -1000 to 1000"),
    Option("pids-limit", "", "int", "Limit of processes; -1 is no limit"),
    Option("shm-size", "", "bytes", "Size of /dev/shm"),
    Option("ulimit", "", "ulimit", "Set a resource limit (name=soft[:hard])", check=_ulimit),
)

_NETWORK = (
    Option("add-host", "", "list", "Add a line to /etc/hosts (host:ip)"),
    Option("dns", "", "list", "DNS server"),
    Option("dns-option", "", "list", "DNS option"),
    Option("dns-opt", "", "list", "The old name of --dns-option", hidden=True),
    Option("dns-search", "", "list", "DNS search domain"),
    Option("expose", "", "list", "Expose a port or a range of ports"),
    Option("ip", "", "string", "IPv4 address (e.g., 172.30.100.104)"),
    Option("ip6", "", "string", "IPv6 address (e.g., 2001:db8::33)"),
    Option("link", "", "list", "Link to another container"),
    Option("link-local-ip", "", "list", "Link-local address", check=_link_local),
    Option("mac-address", "", "string", "MAC address (e.g., 92:d0:c6:0a:29:33)"),
    Option("net", "", "network", "The old name of --network", check=_network, hidden=True),
    Option("net-alias", "", "list", "The old name of --network-alias", hidden=True),
    Option("network", "", "network", "Connect to a network", check=_network, choices="networks"),
    Option("network-alias", "", "list", "Additional name inside the network"),
    Option("publish", "p", "list", "Publish a port on the host"),
    Option("publish-all", "P", "bool", "Publish all exposed ports on random ports of the host"),
)

_FILES = (
    Option("device", "", "list", "Give the container a device of the host", choices="files"),
    Option("device-cgroup-rule", "", "list", "Add a rule to the list of allowed devices"),
    Option(
        "gpus", "", "gpu-request", "GPUs to give the container ('all' for every one)", check=_gpus
    ),
    Option("mount", "", "mount", "Mount a file system", check=_mount),
    Option("read-only", "", "bool", "Mount the root file system read-only"),
    Option("storage-opt", "", "map", "Option of the storage driver"),
    Option("tmpfs", "", "list", "Mount a tmpfs on a directory"),
    Option("use-api-socket", "", "bool", "Mount the daemon's socket and the credentials for it"),
    Option("volume", "v", "list", "Mount a directory or a volume", choices="volumes"),
    Option("volume-driver", "", "string", "Driver for the container's volumes"),
    Option(
        "volumes-from", "", "list", "Mount the volumes of another container", choices="containers"
    ),
)

_SECURITY = (
    Option("cap-add", "", "list", "Add a capability", choices="capabilities"),
    Option("cap-drop", "", "list", "Drop a capability", choices="capabilities"),
    NO_TRUST,
    Option("group-add", "", "list", "Additional group of the process"),
    Option("ipc", "", "string", "IPC namespace"),
    Option("isolation", "", "string", "Isolation technology"),
    Option("pid", "", "string", "Process namespace"),
    Option("privileged", "", "bool", "Give the container all rights on the host"),
    Option("security-opt", "", "list", "Security option"),
    Option("sysctl", "", "map", "Set a kernel parameter of the container's namespaces"),
    Option("userns", "", "string", "User namespace"),
    Option("uts", "", "string", "Host name namespace"),
)

_LOGGING = (
    Option("log-driver", "", "string", "Where the container's output goes"),
    Option("log-opt", "", "list", "Option of the log driver"),
)

OPTIONS = (*_IDENTITY, *_HEALTH, *_LIMITS, *_NETWORK, *_FILES, *_SECURITY, *_LOGGING)
