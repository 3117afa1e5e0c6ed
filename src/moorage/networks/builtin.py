"""The predefined networks: ``bridge``, ``host`` and ``none``."""

from __future__ import annotations

import errno
import ipaddress

from msgspec import structs

from moorage.lib import clock, ids, offload
from moorage.lib.errors import InvalidParameter
from moorage.netlink import address, link
from moorage.netlink.address import Interface
from moorage.netlink.nlsocket import NetlinkError, NetlinkSocket
from moorage.networks import create, ipam
from moorage.networks.domain import Domain
from moorage.networks.drivers import bridge, options
from moorage.networks.ipam import Subnet
from moorage.networks.records import NetworkRecord

_BRIDGE_NAME = "moorage"
_MANY = 1000


async def ensure(domain: Domain) -> None:
    """Make what is missing, and bring the default bridge to what daemon.json says now.

    Raises: InvalidParameter, for settings of the bridge that cannot be.
    """
    for name, driver in (("none", "null"), ("host", "host")):
        if not domain.registry.has_name(name):
            domain.registry.enter(_bare(name, driver))
    if domain.config.bridge == "none":
        if domain.registry.has_name("bridge"):
            old = domain.registry.find("bridge")
            if not domain.registry.members[old.id]:
                await domain.driver(old).remove(old)
                domain.registry.drop(old)
        return
    await _ensure_bridge(domain)


def _bare(name: str, driver: str) -> NetworkRecord:
    return NetworkRecord(
        id=ids.new_id(), name=name, driver=driver, created_ns=clock.now_ns(), ipv4=True
    )


async def _ensure_bridge(domain: Domain) -> None:
    config = domain.config
    old = domain.registry.find("bridge") if domain.registry.has_name("bridge") else None
    device = config.bridge or (old.device if old else "")
    if not device:
        device = await offload.run("net", _free_name)
    given = await offload.run("net", _addresses_of, device) if config.bridge else []
    wanted = NetworkRecord(
        id=old.id if old else ids.new_id(),
        name="bridge",
        driver="bridge",
        created_ns=clock.now_ns(),
        ipv6=config.ipv6 or bool(config.fixed_cidr_v6 or config.bip6),
        options={
            bridge.DEFAULT_BRIDGE: "true",
            bridge.ICC: _go(config.icc),
            bridge.MASQUERADE: _go(config.ip_masq),
            bridge.HOST_BINDING4: config.ip or "0.0.0.0",  # noqa: S104 - Docker's word
            bridge.NAME: device,
            options.MTU: str(config.mtu or bridge.DEFAULT_MTU),
        },
        device=device,
        own_device=not config.bridge,
        fixed_address=bool(config.bridge),
        subnets=[*_subnet4(domain, given), *_subnet6(domain, given)],
    )
    if old is not None and _same(domain, old, wanted):
        return
    routes = await domain.watch.routes()
    if old is not None:
        domain.registry.drop(old)
    wanted = create.choose_subnets(domain, wanted, routes, ipam.DEFAULT_BRIDGE_POOLS)
    wanted = domain.driver(wanted).prepare(wanted)
    domain.registry.enter(wanted)


async def rename_bridge(domain: Domain, network: NetworkRecord) -> NetworkRecord:
    """Give the default bridge another free name: somebody took it while we were away."""
    device = await offload.run("net", _free_name)
    renamed = structs.replace(
        network, device=device, options={**network.options, bridge.NAME: device}
    )
    domain.registry.enter(renamed)
    return renamed


def _same(domain: Domain, old: NetworkRecord, wanted: NetworkRecord) -> bool:
    """Whether the stored bridge is what the settings ask for, or must stay as it is."""
    if domain.registry.members[old.id]:
        return True  # running containers have its addresses
    asked = {s.cidr: s for s in wanted.subnets}
    have = {s.cidr: s for s in old.subnets}
    return (
        old.options == wanted.options
        and old.ipv6 == wanted.ipv6
        and all(cidr in have and _covers(have[cidr], s) for cidr, s in asked.items())
        and (bool(asked) or not old.subnets_given)
    )


def _covers(have: Subnet, asked: Subnet) -> bool:
    return have.ip_range == asked.ip_range and asked.gateway in {"", have.gateway}


def _go(value: bool) -> str:  # noqa: FBT001 - Go's spelling of one value
    return "true" if value else "false"


def _subnet4(domain: Domain, given: list[Interface]) -> list[Subnet]:
    config = domain.config
    on_bridge = [a for a in given if a.version == 4]
    if not config.bip and not on_bridge:
        return []
    own = _interface(config.bip, "bip", 4) if config.bip else on_bridge[0]
    return [
        Subnet(
            cidr=str(own.network),
            gateway=config.default_gateway or str(own.ip),
            ip_range=config.fixed_cidr,
            auxiliary={} if not config.default_gateway else {"DefaultBridge": str(own.ip)},
        )
    ]


def _subnet6(domain: Domain, given: list[Interface]) -> list[Subnet]:
    config = domain.config
    if config.bip6:
        own = _interface(config.bip6, "bip6", 6)
        return [Subnet(cidr=str(own.network), gateway=str(own.ip), ip_range=config.fixed_cidr_v6)]
    if config.fixed_cidr_v6:
        return [Subnet(cidr=config.fixed_cidr_v6, gateway=config.default_gateway_v6)]
    own6 = next((a for a in given if a.version == 6 and not a.ip.is_link_local), None)
    return [Subnet(cidr=str(own6.network), gateway=str(own6.ip))] if own6 and config.ipv6 else []


def _interface(text: str, key: str, version: int) -> Interface:
    try:
        found = ipaddress.ip_interface(text)
    except ValueError as error:
        raise InvalidParameter(f"invalid {key}: {text}", hint="give ADDRESS/PREFIX") from error
    if found.version != version or "/" not in text:
        raise InvalidParameter(
            f"invalid {key}: {text}", hint=f"give an IPv{version} ADDRESS/PREFIX"
        )
    return found


def _free_name() -> str:
    with NetlinkSocket() as host:
        taken = {found.name for found in link.read_all(host)}
    return next(name for n in range(_MANY) if (name := f"{_BRIDGE_NAME}{n}") not in taken)


def _addresses_of(device: str) -> list[Interface]:
    """Return the addresses of an interface of the user's. Blocking.

    Raises: InvalidParameter, if it is not there.
    """
    with NetlinkSocket() as host:
        try:
            found = link.read(host, device)
        except NetlinkError as error:
            if error.errno != errno.ENODEV:
                raise
            raise InvalidParameter(
                f"bridge device with non default name {device} must be created manually"
            ) from error
        return [a.interface for a in address.read_all(host) if a.index == found.index]
