"""Parent interfaces of macvlan and ipvlan networks: found, or made as 802.1q sub-interfaces."""

from __future__ import annotations

import errno
import re
from typing import Final

from moorage.lib.errors import InvalidParameter, System
from moorage.netlink import link
from moorage.netlink.nlsocket import NetlinkError, NetlinkSocket
from moorage.networks.records import NetworkRecord

PARENT: Final = "parent"
_SUBINTERFACE: Final = re.compile(r"(.+)\.(\d{1,4})\Z")
_VLAN_IDS: Final = range(1, 4095)


def name_of(network: NetworkRecord) -> str:
    """Return the parent's name; without one, that of an interface that leads nowhere."""
    wanted = network.options.get(PARENT, "")
    return f"dm-{network.id[:12]}" if network.internal or not wanted else wanted


def ensure(network: NetworkRecord) -> bool:
    """Make the parent if it is missing and can be made; return whether it is ours. Blocking.

    Raises: InvalidParameter, for a parent that is not there; System.
    """
    name = network.device
    with NetlinkSocket() as host:
        if _exists(host, name):
            host.run(link.set_up(name))
            return network.own_device and name.startswith("dm-")
        if name.startswith("dm-"):
            # A bridge without ports: kernels without the dummy driver have this too.
            host.run(link.bridge(name, mac=_mac(network), mtu=0))
            return True
        found = _SUBINTERFACE.match(name)
        if not found:
            raise InvalidParameter(
                f"parent interface {name} was not found on the host",
                hint="`ip link` lists what there is; eth0.10 makes an 802.1q sub-interface of eth0",
            )
        parent, tag = found[1], int(found[2])
        if tag not in _VLAN_IDS or not _exists(host, parent):
            raise InvalidParameter(
                f"cannot make the 802.1q sub-interface {name}",
                hint="the interface before the dot must exist, the id be 1 to 4094",
            )
        try:
            host.run(link.vlan(name, parent=link.read(host, parent).index, tag=tag))
        except NetlinkError as error:
            if error.errno == errno.EOPNOTSUPP:
                raise System("this kernel has no 802.1q support", hint="modprobe 8021q") from error
            raise System(f"cannot make the sub-interface {name}: {error}") from error
        return True


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
