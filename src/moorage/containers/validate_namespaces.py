"""Which namespace modes exist, and which options contradict them (pure)."""

from __future__ import annotations

from moorage.lib.errors import InvalidParameter
from moorage.spec.engine.container import ContainerConfig
from moorage.spec.engine.hostconfig import HostConfig


def joined_container(mode: str) -> str | None:
    """Return the reference in ``container:<name|id>``, or None."""
    return mode.removeprefix("container:") if mode.startswith("container:") else None


def is_user_defined(network_mode: str) -> bool:
    """Whether a network mode names a network that somebody has made."""
    plain = {"", "default", "bridge", "host", "none"}
    return network_mode not in plain and joined_container(network_mode) is None


def check(config: ContainerConfig, host: HostConfig) -> None:
    """Refuse unknown modes and contradictions.

    Raises: InvalidParameter, with Docker's sentences.
    """
    _check_modes(host)
    _check_network(config, host)


def _check_modes(host: HostConfig) -> None:
    if not _known(host.ipc_mode, {"", "none", "host", "private", "shareable"}):
        raise InvalidParameter(f"invalid IPC mode: {host.ipc_mode}")
    if not _known(host.pid_mode, {"", "host"}):
        raise InvalidParameter(f"invalid PID mode: {host.pid_mode}")
    if host.uts_mode not in {"", "host"}:
        raise InvalidParameter(f"invalid UTS mode: {host.uts_mode}")
    if host.userns_mode not in {"", "host"}:
        raise InvalidParameter(f"invalid userns mode: {host.userns_mode}")
    if host.cgroupns_mode not in {"", "host", "private"}:
        raise InvalidParameter(f"invalid cgroup namespace mode: {host.cgroupns_mode}")


def _known(mode: str, plain: set[str]) -> bool:
    return mode in plain or bool(joined_container(mode))


def _check_network(config: ContainerConfig, host: HostConfig) -> None:
    mode = host.network_mode
    if mode == "container:":
        raise InvalidParameter("Invalid network mode: invalid container format container:<name|id>")
    if host.uts_mode == "host" and config.hostname:
        raise InvalidParameter("conflicting options: hostname and the UTS mode")
    if mode == "host" and host.links:
        raise InvalidParameter(
            "conflicting options: host type networking can't be used with links."
            " This would result in undefined behavior"
        )
    if joined_container(mode) is None:
        return
    contradictions = (
        (config.hostname, "hostname and the network mode"),
        (
            host.links,
            (
                "container type network can't be used with links."
                " This would result in undefined behavior"
            ),
        ),
        (host.dns, "dns and the network mode"),
        (host.extra_hosts, "custom host-to-IP mapping and the network mode"),
        (
            host.port_bindings or host.publish_all_ports,
            "port publishing and the container type network mode",
        ),
        (config.exposed_ports, "port exposing and the container type network mode"),
    )
    for given, sentence in contradictions:
        if given:
            raise InvalidParameter(f"conflicting options: {sentence}")
