"""The command line of ``moord``: each flag beside the key of ``daemon.json`` it stands for."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

Kind = Literal["text", "bool", "int", "list", "map", "json"]


@dataclass(frozen=True, slots=True)
class Option:
    """One setting. A *list* may be given several times; a *map* takes ``key=value``."""

    key: str  # in daemon.json
    kind: Kind
    help: str
    flag: str = ""  # "" = the key; "-" = has no flag
    short: str = ""
    reload: bool = False  # taken over on SIGHUP

    @property
    def flag_name(self) -> str:
        """The flag without its dashes; empty if there is none."""
        return {"": self.key, "-": ""}.get(self.flag, self.flag)


OPTIONS: Final = (
    Option("add-runtime", "list", "Register an OCI runtime: name=path", flag="add-runtime"),
    Option("allow-direct-routing", "bool", "Let neighbours route to addresses of containers"),
    Option("allow-insecure-tcp", "bool", "Serve TCP without TLS: root for whoever reaches it"),
    Option("allowed-hosts", "list", "Host header accepted over plain TCP", flag="allowed-host"),
    Option(
        "authorization-plugins",
        "list",
        "Authorization plugin to ask",
        flag="authorization-plugin",
        reload=True,
    ),
    Option("bip", "text", "IPv4 address of the default bridge, as CIDR"),
    Option("bip6", "text", "IPv6 address of the default bridge, as CIDR"),
    Option("bridge", "text", "Existing bridge for containers; 'none' for no default", short="b"),
    Option("bridge-accept-fwmark", "text", "Firewall mark of packets let into bridges"),
    Option("builder", "json", "Settings of the builder", flag="-"),
    Option("cdi-spec-dirs", "list", "Directory of CDI specifications", flag="cdi-spec-dir"),
    Option("cgroup-parent", "text", "Parent cgroup of all containers"),
    Option("cluster-advertise", "text", "Address or interface other hosts reach this one by"),
    Option("cluster-store", "text", "URL of the etcd cluster for overlay networks"),
    Option("cluster-store-opts", "map", "Option of the cluster store", flag="cluster-store-opt"),
    Option("data-root", "text", "Root of the persistent state"),
    Option("debug", "bool", "Debug mode", short="D", reload=True),
    Option(
        "default-address-pools",
        "list",
        "Pool of subnets: base=10.0.0.0/8,size=24",
        flag="default-address-pool",
    ),
    Option("default-cgroupns-mode", "text", "cgroup namespace of containers: host, private"),
    Option("default-gateway", "text", "IPv4 gateway of the default bridge"),
    Option("default-gateway-v6", "text", "IPv6 gateway of the default bridge"),
    Option("default-ipc-mode", "text", "IPC namespace of containers: shareable, private"),
    Option(
        "default-network-opts",
        "list",
        "Option of new networks: driver=key=value",
        flag="default-network-opt",
    ),
    Option("default-runtime", "text", "OCI runtime of containers", reload=True),
    Option("default-shm-size", "text", "Size of /dev/shm of containers", reload=True),
    Option(
        "default-ulimits", "list", "Ulimit of containers: name=soft:hard", flag="default-ulimit"
    ),
    Option("dns", "list", "DNS server of containers"),
    Option("dns-opts", "list", "DNS option of containers", flag="dns-opt"),
    Option("dns-search", "list", "DNS search domain of containers"),
    Option("exec-opts", "list", "Option of the runtime", flag="exec-opt"),
    Option("exec-root", "text", "Root of the state that a reboot may take"),
    Option("experimental", "bool", "Experimental features"),
    Option("features", "map", "Switch a feature: name=true", flag="feature", reload=True),
    Option("firewall-backend", "text", "Firewall backend: nftables"),
    Option("fixed-cidr", "text", "IPv4 range of containers on the default bridge"),
    Option("fixed-cidr-v6", "text", "IPv6 range of containers on the default bridge"),
    Option("group", "text", "Group of the Unix socket", short="G"),
    Option("host-firewall", "text", "Published ports and the host's firewall: respect, accept"),
    Option(
        "host-gateway-ips", "list", "Address that host-gateway stands for", flag="host-gateway-ip"
    ),
    Option("hosts", "list", "Socket to listen on: unix://, tcp://, fd://", flag="host", short="H"),
    Option("icc", "bool", "Let containers of the default bridge reach each other"),
    Option("init", "bool", "Run an init in containers"),
    Option("init-path", "text", "Path of the init"),
    Option(
        "insecure-registries",
        "list",
        "Registry reached without verified TLS",
        flag="insecure-registry",
        reload=True,
    ),
    Option("ip", "text", "Host address of published ports"),
    Option("ip-forward", "bool", "Switch on IP forwarding"),
    Option("ip-forward-no-drop", "bool", "Leave the policy of forwarding alone"),
    Option("ip-masq", "bool", "Masquerade what leaves the default bridge"),
    Option("ip6tables", "bool", "Write firewall rules for IPv6"),
    Option("iptables", "bool", "Write firewall rules"),
    Option("ipv6", "bool", "IPv6 on the default bridge"),
    Option("labels", "list", "Label of the daemon: key=value", flag="label", reload=True),
    Option("live-restore", "bool", "Containers outlive the daemon (default true)", reload=True),
    Option("log-driver", "text", "Log driver of containers"),
    Option("log-format", "text", "Format of the daemon's log: text, json"),
    Option("log-level", "text", "Level of the log: debug, info, warn, error, fatal", short="l"),
    Option("log-opts", "map", "Option of the log driver", flag="log-opt"),
    Option("max-concurrent-downloads", "int", "Downloads at a time for a pull", reload=True),
    Option("max-concurrent-uploads", "int", "Uploads at a time for a push", reload=True),
    Option("max-download-attempts", "int", "Attempts for a download", reload=True),
    Option("metrics-addr", "text", "Address of the metrics endpoint: host:port"),
    Option("mtu", "int", "MTU of containers' networks"),
    Option("names-on-default-bridge", "bool", "Resolve names on the default bridge too"),
    Option("network-control-plane-mtu", "int", "MTU of the control plane"),
    Option("no-new-privileges", "bool", "Set no_new_privs in new containers"),
    Option(
        "node-generic-resources",
        "list",
        "Resource that the node offers",
        flag="node-generic-resource",
    ),
    Option("oom-score-adjust", "int", "OOM score of the daemon"),
    Option("pidfile", "text", "File that holds the daemon's pid", short="p"),
    Option("proxies", "json", "Proxies of the daemon", flag="-"),
    Option("raw-logs", "bool", "Log without colours and times"),
    Option(
        "registry-mirrors",
        "list",
        "Mirror of the default registry",
        flag="registry-mirror",
        reload=True,
    ),
    Option("runtimes", "json", "OCI runtimes", flag="-", reload=True),
    Option("seccomp-profile", "text", "Seccomp profile of containers: path, builtin, unconfined"),
    Option("selinux-enabled", "bool", "SELinux for containers"),
    Option("shutdown-timeout", "int", "Seconds containers get to stop", reload=True),
    Option("storage-driver", "text", "Storage driver", short="s"),
    Option("storage-opts", "list", "Option of the storage driver", flag="storage-opt"),
    Option("tls", "bool", "TLS on TCP sockets"),
    Option("tlscacert", "text", "CA that client certificates must be signed by"),
    Option("tlscert", "text", "Certificate of the daemon"),
    Option("tlskey", "text", "Key of the daemon"),
    Option("tlsverify", "bool", "TLS, and clients must show a certificate"),
    Option("userland-proxy", "bool", "Forward loopback ports by a process"),
    Option("userland-proxy-path", "text", "Path of that process"),
    Option("userns-remap", "text", "User and group for user namespaces"),
    Option("http-proxy", "text", "Proxy of the daemon for HTTP"),
    Option("https-proxy", "text", "Proxy of the daemon for HTTPS"),
    Option("no-proxy", "text", "Hosts reached without the proxy"),
)

# Keys of dockerd that have no meaning here: accepted, said so in the log, not acted upon.
IGNORED_KEYS: Final = {
    "containerd": "no containerd is used",
    "containerd-namespace": "no containerd is used",
    "containerd-plugins-namespace": "no containerd is used",
    "cri-containerd": "no containerd is used",
    "swarm-default-advertise-addr": "this node cannot join a swarm",
    "cpu-rt-period": "real-time scheduling is set for each container",
    "cpu-rt-runtime": "real-time scheduling is set for each container",
}
FLAG_ONLY: Final = frozenset({"add-runtime", "http-proxy", "https-proxy", "no-proxy"})

BY_KEY: Final = {option.key: option for option in OPTIONS}
BY_FLAG: Final = {option.flag_name: option for option in OPTIONS if option.flag_name}
BY_SHORT: Final = {option.short: option for option in OPTIONS if option.short}
