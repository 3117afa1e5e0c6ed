"""Wires as the drivers have them in common: what is the network's, the endpoint's, the plug's."""

from __future__ import annotations

from moorage.networks.drivers import options
from moorage.networks.records import Endpoint, NetworkRecord
from moorage.networks.sandbox import Plug, Wire


def bridge_port(network: NetworkRecord, endpoint: Endpoint, *, hairpin: bool) -> Plug:
    """Return one end of a veth on the network's bridge."""
    return Plug(
        kind="veth",
        device=network.device,
        port=endpoint.port,
        hairpin=hairpin,
        confined=endpoint.confined,
    )


def wire_of(network: NetworkRecord, endpoint: Endpoint, plug: Plug, *, mtu: int) -> Wire:
    """Return the wire that *plug* carries to the endpoint; *mtu* in bytes, 0 for the device's.

    Raises: InvalidParameter, for a sysctl that is not about the interface.
    """
    given = endpoint.settings.driver_opts or {}
    return Wire(
        plug=plug,
        interface=endpoint.interface,
        mac=endpoint.mac,
        mtu=mtu,
        addresses=[*filter(None, (endpoint.ipv4, endpoint.ipv6)), *_link_local(endpoint)],
        ipv6=network.ipv6,
        sysctls=options.endpoint_sysctls(given, endpoint.interface),
    )


def _link_local(endpoint: Endpoint) -> list[str]:
    """Return the link-local addresses the user asked for, with prefix length."""
    ipam = endpoint.settings.ipam_config
    wanted = (ipam.link_local_i_ps if ipam else None) or []
    return [f"{text}/{64 if ':' in text else 16}" for text in wanted]
