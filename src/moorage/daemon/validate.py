"""Checks of a configuration beyond its types: each names the key and the reason."""

from __future__ import annotations

import ipaddress
from collections.abc import Callable
from typing import Final

from moorage.daemon import cachepolicy
from moorage.daemon.config import Config
from moorage.daemon.hosts import parse_host
from moorage.lib.errors import InvalidParameter
from moorage.lib.units import parse_bytes
from moorage.registry.settings import parse_insecure, parse_mirrors
from moorage.runtime import cgrouppath

_LEVELS: Final = ("debug", "info", "warn", "error", "fatal")
_CHOICES: Final = {
    "log-level": _LEVELS,
    "log-format": ("text", "json"),
    "default-ipc-mode": ("private", "shareable"),
    "default-cgroupns-mode": ("", "private", "host"),
    "firewall-backend": ("", "nftables"),
    "host-firewall": ("respect", "accept"),
}
CGROUP_DRIVER: Final = "native.cgroupdriver"
_BUILT_IN_RUNTIMES: Final = frozenset({"", "crun", "runc"})


def validate(config: Config) -> None:
    """Check everything.

    Raises: InvalidParameter.
    """
    for key, allowed in _CHOICES.items():
        value = getattr(config, key.replace("-", "_"))
        if value not in allowed:
            raise bad(key, value, "must be one of " + ", ".join(c for c in allowed if c))
    _validate_numbers(config)
    _validate_addresses(config)
    _validate_lists(config)
    _validate_runtimes(config)
    _validate_unsupported(config)
    _validate_hosts(config)


def bad(key: str, value: object, reason: str) -> InvalidParameter:
    """Return the error for one setting."""
    return InvalidParameter(f"invalid configuration: {key}: {value!r}: {reason}")


def _validate_numbers(config: Config) -> None:
    least = {
        "max-concurrent-downloads": 1,
        "max-concurrent-uploads": 1,
        "max-download-attempts": 1,
        "mtu": 0,
        "network-control-plane-mtu": 0,
        "shutdown-timeout": -1,
        "oom-score-adjust": -1000,
    }
    for key, minimum in least.items():
        value = getattr(config, key.replace("-", "_"))
        if value < minimum:
            raise bad(key, value, f"must be at least {minimum}")
    if config.oom_score_adjust > 1000:
        raise bad("oom-score-adjust", config.oom_score_adjust, "must be at most 1000")
    _check("default-shm-size", config.default_shm_size, parse_bytes)


def _check(key: str, value: str, parse: Callable[[str], object]) -> None:
    try:
        parse(value)
    except ValueError as error:
        raise bad(key, value, str(error)) from error


def _validate_addresses(config: Config) -> None:
    single: dict[str, Callable[[str], object]] = {
        "bip": ipaddress.IPv4Interface,
        "bip6": ipaddress.IPv6Interface,
        "fixed-cidr": ipaddress.IPv4Network,
        "fixed-cidr-v6": ipaddress.IPv6Network,
        "default-gateway": ipaddress.IPv4Address,
        "default-gateway-v6": ipaddress.IPv6Address,
        "ip": ipaddress.ip_address,
    }
    for key, parse in single.items():
        if value := getattr(config, key.replace("-", "_")):
            _check(key, value, parse)
    for address in config.dns:
        _check("dns", address, ipaddress.ip_address)
    for address in config.host_gateway_ips:
        _check("host-gateway-ips", address, ipaddress.ip_address)
    for pool in config.default_address_pools:
        _check("default-address-pools", pool.base, ipaddress.ip_network)
        network = ipaddress.ip_network(pool.base)
        if not network.prefixlen <= pool.size <= network.max_prefixlen:
            raise bad(
                "default-address-pools", pool.size, f"size must be at least that of {pool.base}"
            )
    if config.bridge and (config.bip or config.bip6) and config.bridge != "none":
        raise InvalidParameter(
            "invalid configuration: you specified -b & --bip, mutually exclusive options;"
            " please specify only one"
        )


def _validate_lists(config: Config) -> None:
    _validate_labels(config.labels)
    try:
        parse_mirrors(config.registry_mirrors)
    except InvalidParameter as error:
        raise bad("registry-mirrors", config.registry_mirrors, str(error)) from error
    try:
        parse_insecure(config.insecure_registries)
    except InvalidParameter as error:
        raise bad("insecure-registries", config.insecure_registries, str(error)) from error
    for directory in config.cdi_spec_dirs:
        if directory and not directory.startswith("/"):
            raise bad("cdi-spec-dirs", directory, "must be an absolute path")
    for option in config.exec_opts:
        _validate_exec_option(option)


def split_exec_option(option: str) -> tuple[str, str]:
    """Return the key, as dockerd in any case, and the value."""
    key, _, value = option.partition("=")
    return key.strip().lower(), value.strip()


def _validate_exec_option(option: str) -> None:
    key, value = split_exec_option(option)
    if key != CGROUP_DRIVER:
        raise bad("exec-opts", option, f"only {CGROUP_DRIVER} is known")
    if value not in cgrouppath.DRIVERS:
        raise bad("exec-opts", option, f"{CGROUP_DRIVER} option {value} not supported")


def _validate_labels(labels: list[str]) -> None:
    seen: dict[str, str] = {}
    for label in labels:
        key, equals, value = label.partition("=")
        if not equals or not key or key != key.strip():
            raise bad("labels", label, "a label must be key=value")
        if seen.setdefault(key, value) != value:
            raise bad("labels", key, "given twice with different values")


def _validate_runtimes(config: Config) -> None:
    for name, runtime in config.runtimes.items():
        if name in _BUILT_IN_RUNTIMES and name != "crun":
            raise bad("runtimes", name, "this name is reserved")
        if runtime.runtime_type:
            raise bad("runtimes", name, "runtimeType is containerd's; give a path")
        if not runtime.path:
            raise bad("runtimes", name, "a path is required")
    default = config.default_runtime
    if default not in _BUILT_IN_RUNTIMES and default not in config.runtimes:
        raise bad("default-runtime", default, "is not among the runtimes")


_RULES: Final = (
    "rules are kept in nftables tables of our own and touch nobody else's; see host-firewall"
)
_UNSUPPORTED: Final = {
    # key: (the only value that is taken, why)
    "iptables": (True, _RULES),
    "ip6tables": (True, _RULES),
    "bridge-accept-fwmark": ("", "packets cannot be let in by a mark; use host-firewall"),
    "node-generic-resources": ([], "this node cannot join a swarm"),
}
_WITHOUT_EFFECT: Final = {
    # key: (the value that says nothing, why nothing has to be done)
    "userland-proxy": (False, "ports on loopback work without a proxy"),
    "userland-proxy-path": ("", "ports on loopback work without a proxy"),
    "ip-forward-no-drop": (
        False,
        "the policy of the host's FORWARD chain is left alone in any case",
    ),
    "network-control-plane-mtu": (0, "there is no control plane between daemons"),
    "raw-logs": (False, "the log has no colours"),
}


def _validate_unsupported(config: Config) -> None:
    """What would silently weaken or change containers is refused, not ignored."""
    for key, (taken, reason) in _UNSUPPORTED.items():
        value = getattr(config, key.replace("-", "_"))
        if value != taken:
            raise bad(key, value, reason)
    cachepolicy.rules(config.builder.gc)
    for name in config.builder.entitlements:
        if name not in {"network-host", "security-insecure", "device"}:
            raise bad("builder", name, "entitlements are network-host, security-insecure, device")


def without_effect(config: Config) -> list[str]:
    """Return warnings about settings that are accepted for dockerd's sake and change nothing."""
    return [
        f"{key} has no effect: {reason}"
        for key, (nothing, reason) in _WITHOUT_EFFECT.items()
        if getattr(config, key.replace("-", "_")) != nothing
    ]


def _validate_hosts(config: Config) -> None:
    for host in config.hosts:
        if parse_host(host).kind == "tcp":
            require_guarded(config, host)
    if config.metrics_addr:
        _check("metrics-addr", config.metrics_addr, host_port)


def require_guarded(config: Config, host: str) -> None:
    """Refuse TCP without TLS unless it was said, in one of the ways that dockerd knows.

    Raises: InvalidParameter.
    """
    if config.tls or config.tlsverify or config.allow_insecure_tcp:
        return
    if config.tls is False or config.tlsverify is False:
        return
    raise InvalidParameter(
        f"invalid configuration: hosts: {host}: refusing to serve the API on TCP without TLS:"
        " whoever reaches it is root on this host",
        hint="use --tlsverify with --tlscacert, --tlscert and --tlskey, or say --tls=false if the"
        " network itself is guarded",
    )


def host_port(text: str) -> tuple[str, int]:
    """Split ``host:port`` or ``[v6]:port``.

    Raises: ValueError.
    """
    host, colon, port = text.rpartition(":")
    if not colon or not port.isdecimal() or int(port) > 65535:
        message = "want host:port"
        raise ValueError(message)
    return host.strip("[]"), int(port)
