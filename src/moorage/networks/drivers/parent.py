"""Parent interfaces of macvlan and ipvlan networks: found, or made as 802.1q sub-interfaces."""

from __future__ import annotations

import errno
import re
from typing import Final

from msgspec import structs

from moorage.lib.errors import Forbidden, InvalidParameter, System
from moorage.netlink import link
from moorage.netlink.nlsocket import NetlinkError, NetlinkSocket
from moorage.networks import sandbox
from moorage.networks.drivers import options
from moorage.networks.records import NetworkRecord

PARENT: Final = "parent"
_SUBINTERFACE: Final = re.compile(r"(.+)\.(\d+)\Z")
_VLAN_IDS: Final = range(1, 4095)
_PASSTHRU: Final = "passthru"
DRIVERS: Final = frozenset({"macvlan", "ipvlan"})  # whose devices are parents


def name_of(network: NetworkRecord) -> str:
    """Return the parent's name; without one, that of an interface that leads nowhere."""
    wanted = network.options.get(PARENT, "")
    return f"dm-{network.id[:12]}" if network.internal or not wanted else wanted


def choose(network: NetworkRecord) -> NetworkRecord:
    """Return *network* with its parent: ours, if nothing has that name yet.

    Raises: InvalidParameter.
    """
    device = options.interface_name(name_of(network), "parent interface")
    if device == "lo":
        raise InvalidParameter(f"loopback interface is not a valid {network.driver} parent link")
    return structs.replace(network, device=device, own_device=not sandbox.is_there(device))


def refuse_shared(network: NetworkRecord, other: NetworkRecord) -> None:
    """Refuse a parent that *other* has too, where the kernel cannot give it to both.

    Raises: Forbidden.
    """
    modes = [_mode(network), _mode(other)]
    if network.driver == other.driver == "macvlan":
        if modes[0] == _PASSTHRU:
            raise Forbidden(
                f"cannot use mode passthru, macvlan network {other.id} is already using parent"
                f" interface {network.device}"
            )
        if modes[1] == _PASSTHRU:
            raise Forbidden(
                f"macvlan network {other.id} is already using parent interface {network.device}"
                " in mode passthru"
            )
    elif network.driver != other.driver or modes[0] != modes[1]:
        raise Forbidden(
            f"network {other.id} is already using parent interface {network.device}",
            hint="macvlan and ipvlan, or two modes of ipvlan, cannot share one; eth0.10 makes"
            " an 802.1q sub-interface of eth0",
        )


def _mode(network: NetworkRecord) -> str:
    given = network.options
    if network.driver == "macvlan":
        return given.get("macvlan_mode", "bridge")
    return f"{given.get('ipvlan_mode', 'l2')} {given.get('ipvlan_flag', 'bridge')}"


def ensure(network: NetworkRecord) -> None:
    """Make the parent if it is missing and can be made. Blocking.

    Raises: InvalidParameter, for a parent that is not there; System.
    """
    name = network.device
    with NetlinkSocket() as host:
        if _exists(host, name):
            host.run(link.set_up(name))
            return
        if name.startswith("dm-"):
            # A bridge without ports: kernels without the dummy driver have this too.
            host.run(link.bridge(name, mac=_mac(network), mtu=0))
            return
        found = _SUBINTERFACE.match(name)
        if not found:
            raise InvalidParameter(
                f"parent interface {name} was not found on the host",
                hint="`ip link` lists what there is; eth0.10 makes an 802.1q sub-interface of eth0",
            )
        parent, tag = found[1], int(found[2])
        if tag not in _VLAN_IDS:
            raise InvalidParameter(f"vlan id must be between 1-4094, received: {tag}")
        if not _exists(host, parent):
            raise InvalidParameter(
                f"cannot make the 802.1q sub-interface {name}",
                hint="the interface before the dot must exist",
            )
        try:
            host.run(link.vlan(name, parent=link.read(host, parent).index, tag=tag))
        except NetlinkError as error:
            if error.errno == errno.EOPNOTSUPP:
                raise System("this kernel has no 802.1q support", hint="modprobe 8021q") from error
            raise System(f"cannot make the sub-interface {name}: {error}") from error


def _exists(host: NetlinkSocket, name: str) -> bool:
    try:
        link.read(host, name)
    except NetlinkError as error:
        if error.errno != errno.ENODEV:
            raise
        return False
    return True


def _mac(network: NetworkRecord) -> str:
    return bytes((0x02, 0x42, *bytes.fromhex(network.id[:8]))).hex(":")
