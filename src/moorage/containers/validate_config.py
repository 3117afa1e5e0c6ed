"""What is refused in a container's configuration, with Docker's sentences (pure)."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable
from typing import Final

from moorage.containers import paths
from moorage.lib import signalnames
from moorage.lib.errors import InvalidParameter
from moorage.spec.engine.container import ContainerConfig
from moorage.spec.engine.health import HealthConfig
from moorage.spec.engine.hostconfig import HostConfig, PortBinding, RestartPolicy

_MILLISECOND_NS: Final = 1_000_000
_MAX_PORT: Final = 65535
_PROTOCOLS: Final = frozenset({"tcp", "udp", "sctp"})
_RESTART_POLICIES: Final = frozenset({"", "no", "always", "on-failure", "unless-stopped"})
_HOSTNAME_MAX: Final = 64  # __NEW_UTS_LEN of the kernel
_CONSOLE_MAX: Final = 65535  # struct winsize has 16 bits for each side
DISCARDED_PORTS: Final = "Published ports are discarded when using host network mode"


def check(config: ContainerConfig, host: HostConfig) -> None:
    """Refuse what cannot be.

    Raises: InvalidParameter.
    """
    _check_strings(config)
    if config.healthcheck:
        _check_health(config.healthcheck)
    parse_signal_option(config.stop_signal)
    _check_restart(host.restart_policy, auto_remove=host.auto_remove)
    _check_extra_hosts(host.extra_hosts or [])
    _check_dns(host)
    _check_exposed(config.exposed_ports or {})
    _check_port_bindings(host.port_bindings or {})
    for key in host.annotations or {}:
        if not key:
            raise InvalidParameter(
                "invalid Annotations: the empty string is not permitted as an annotation key"
            )
    if host.isolation not in {"", "default"}:
        raise InvalidParameter(
            f"Invalid isolation: \"{host.isolation}\" - linux only supports 'default'"
        )
    if host.console_size is not None and not _is_size(host.console_size):
        raise InvalidParameter(f"invalid ConsoleSize {host.console_size}: give [height, width]")


def _is_size(size: list[int]) -> bool:
    return len(size) == 2 and all(0 <= side <= _CONSOLE_MAX for side in size)


def _check_strings(config: ContainerConfig) -> None:
    if config.working_dir and not config.working_dir.startswith("/"):
        raise InvalidParameter(
            f"the working directory '{config.working_dir}' is invalid,"
            " it needs to be an absolute path"
        )
    if not paths.fits(config.working_dir):
        raise InvalidParameter(f"the working directory '{config.working_dir[:200]}…' is too long")
    for entry in config.env or []:
        if not entry or entry.startswith("="):
            raise InvalidParameter(f"invalid environment variable: {entry}")
    texts = [
        config.hostname, config.domainname, config.user, config.working_dir,
        *(config.env or []), *(config.cmd or []), *(config.entrypoint or []),
    ]  # fmt: skip
    if any("\0" in text for text in texts):
        raise InvalidParameter("a null byte is not allowed in the configuration of a container")
    for text in (config.hostname, config.domainname):
        if any(c.isspace() or c in "/\\" for c in text):  # it goes into /etc/hosts
            raise InvalidParameter(f"invalid hostname: {text!r}")
    if len(config.hostname.encode()) > _HOSTNAME_MAX:
        raise InvalidParameter(
            f"invalid hostname: {config.hostname!r}: longer than {_HOSTNAME_MAX} bytes"
        )


def parse_signal_option(text: str | None) -> int | None:
    """Return the number of a signal that may be left out."""
    return signalnames.parse(text) if text else None


def _check_health(health: HealthConfig) -> None:
    durations = (
        ("Interval", health.interval),
        ("Timeout", health.timeout),
        ("StartPeriod", health.start_period),
        ("StartInterval", health.start_interval),
    )
    for name, nanoseconds in durations:
        if nanoseconds and nanoseconds < _MILLISECOND_NS:
            raise InvalidParameter(f"{name} in Healthcheck cannot be less than 1ms")
    if health.retries < 0:
        raise InvalidParameter("Retries in Healthcheck cannot be negative")
    if health.test and health.test[0] not in {"NONE", "CMD", "CMD-SHELL", ""}:
        raise InvalidParameter(f"Unknown type {health.test[0]!r} in healthcheck")


def _check_restart(policy: RestartPolicy | None, *, auto_remove: bool) -> None:
    if policy is None:
        return
    check_restart_policy(policy)
    if auto_remove and policy.name not in {"", "no"}:
        raise InvalidParameter("can't create 'AutoRemove' container with restart policy")


def check_restart_policy(policy: RestartPolicy) -> None:
    """Refuse an unknown policy or a retry count that means nothing.

    Raises: InvalidParameter.
    """
    if policy.name not in _RESTART_POLICIES:
        raise InvalidParameter(
            f"invalid restart policy: unknown policy '{policy.name}';"
            " use one of 'no', 'always', 'on-failure', or 'unless-stopped'"
        )
    if policy.maximum_retry_count and policy.name != "on-failure":
        sentence = "invalid restart policy: maximum retry count can only be used with 'on-failure'"
        negative = " and cannot be negative" if policy.maximum_retry_count < 0 else ""
        raise InvalidParameter(sentence + negative)
    if policy.maximum_retry_count < 0:
        raise InvalidParameter("invalid restart policy: maximum retry count cannot be negative")


def _check_extra_hosts(entries: Iterable[str]) -> None:
    for entry in entries:
        name, colon, address = entry.partition(":")
        if not colon or not name or not _plain(name):
            raise InvalidParameter(f'bad format for add-host: "{entry}"')
        if address == "host-gateway":
            continue
        if not _is_address(address.removeprefix("[").removesuffix("]")):
            raise InvalidParameter(f'invalid IP address in add-host: "{address}"')


def _plain(name: str) -> bool:
    return all(c.isprintable() and not c.isspace() for c in name)


def _is_address(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True


def _check_dns(host: HostConfig) -> None:
    for address in host.dns or []:
        if not _is_address(address):
            raise InvalidParameter(f"invalid IP address: {address}")
    for text in [*(host.dns_search or []), *(host.dns_options or [])]:
        if not _plain(text):
            raise InvalidParameter(f"invalid DNS setting: {text!r}")


def parse_port(spec: str) -> tuple[int, str]:
    """Return number and protocol of ``80/tcp``.

    Raises: InvalidParameter.
    """
    number, _, protocol = spec.partition("/")
    protocol = protocol.lower() or "tcp"
    if not number.isdecimal() or not 0 < int(number) <= _MAX_PORT:
        raise InvalidParameter(f'invalid port specification: "{spec}"')
    if protocol not in _PROTOCOLS:
        raise InvalidParameter(f'invalid port specification: "{spec}": unknown protocol')
    return int(number), protocol


def _check_exposed(ports: Iterable[str]) -> None:
    for spec in ports:
        parse_port(spec)


def _check_port_bindings(bindings: dict[str, list[PortBinding] | None]) -> None:
    for spec, wanted in bindings.items():
        parse_port(spec)
        for binding in wanted or []:
            first, dash, last = binding.host_port.partition("-")
            numbers = [first, last] if dash else [first] if first else []
            if not all(n.isdecimal() and int(n) <= _MAX_PORT for n in numbers):
                raise InvalidParameter(f'invalid port specification: "{binding.host_port}"')
            if dash and int(first) > int(last):
                raise InvalidParameter(f'invalid port specification: "{binding.host_port}"')
            if binding.host_ip and not _is_address(binding.host_ip):
                raise InvalidParameter(f"invalid IP address: {binding.host_ip}")
