"""Network namespaces and what is plugged into them. Plans are data; the acts block in a thread.

Every act runs in a thread that dies afterwards (``lib.offload.run_disposable``): it changes its
network namespace. A namespace lives as long as its handle, a bind mount of it, or a process in it.
Nothing is ever deleted synchronously: cutting the bridge port stops traffic at once, dropping the
handle lets the kernel free the rest when it likes.
"""

from __future__ import annotations

import errno
import ipaddress
import os
import socket
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Final

from msgspec import Struct, field

from moorage.kernel import mount, namespaces
from moorage.lib import offload
from moorage.netlink import address, link, neighbour, route
from moorage.netlink.message import Request
from moorage.netlink.nlsocket import NetlinkError, NetlinkSocket

_OWN_NAMESPACE: Final = "/proc/thread-self/ns/net"
_DEFAULT4: Final = ipaddress.ip_network("0.0.0.0/0")
_DEFAULT6: Final = ipaddress.ip_network("::/0")

# In the fresh namespace, before anything is plugged in: IPv6 only where a network has it
# (CVE-2024-32473), no router advertisements from neighbours (CVE-2020-13401), and neighbours are
# told of a new owner of an address at once. Unprivileged programs may bind low ports and ping.
_SYSCTLS: Final = (
    ("ipv6/conf/default/disable_ipv6", "1"),
    ("ipv6/conf/default/accept_ra", "0"),
    ("ipv6/conf/default/accept_dad", "0"),
    ("ipv6/conf/default/dad_transmits", "0"),
    ("ipv6/conf/default/ndisc_notify", "1"),
    ("ipv4/conf/default/arp_notify", "1"),
    ("ipv4/conf/default/arp_announce", "2"),  # asks with the address of the wire it asks on
    ("ipv4/ip_unprivileged_port_start", "0"),
    ("ipv4/ping_group_range", "0 2147483647"),
)


class Plug(Struct, frozen=True, kw_only=True):
    """How an interface comes into a namespace.

    *kind*: ``veth`` (port of the bridge *device*), ``macvlan``/``ipvlan`` (of the parent
    *device*), ``moved`` (the interface *device* itself, made by a plugin).
    """

    kind: str
    device: str
    port: str = ""  # veth: its name outside
    mode: str = ""
    flag: str = ""
    hairpin: bool = False
    confined: bool = False  # veth: speaks with its own Ethernet address alone


class Wire(Struct, frozen=True, kw_only=True):
    """One interface of a sandbox, complete."""

    plug: Plug
    interface: str
    mac: str = ""
    mtu: int = 0
    addresses: list[str] = field(default_factory=list)  # with prefix length
    ipv6: bool = False
    routes: list[tuple[str, str]] = field(default_factory=list)  # (subnet, gateway or "")
    sysctls: dict[str, str] = field(default_factory=dict)  # "net.ipv4.conf.IFNAME.x" style, bare


class Gateway(Struct, frozen=True, kw_only=True):
    """Where packets for elsewhere go; an *interface* without address is a route by device."""

    ipv4: str = ""
    ipv6: str = ""
    interface4: str = ""
    interface6: str = ""


def build(
    handle: Path,
    wires: list[Wire],
    gateway: Gateway,
    ready: Callable[[], None],
    *,
    namespace: int | None = None,
) -> None:
    """Make a namespace with *wires* plugged in, pinned at *handle*: all or nothing.

    *ready*: see ``add``. *namespace*: take this one, which is fresh and belongs to a container's
    users. Raises: OSError, and what *ready* raises.
    Blocking; the calling thread stays in the new namespace.
    """
    with NetlinkSocket() as host:
        if namespace is None:
            namespaces.unshare(namespaces.CLONE_NEWNET)
        else:
            namespaces.setns(namespace, namespaces.CLONE_NEWNET)
        _pin(handle)
        try:
            with NetlinkSocket() as inside:
                for name, value in _SYSCTLS:
                    _write_sysctl(name, value)
                inside.run(link.set_up("lo"))
                _plug_all(host, inside, wires, ready)
                _set_gateway(inside, gateway)
        except BaseException:
            for wire in wires:
                _unplug_outside(host, wire.plug)
            unpin(handle)
            raise


def at_once() -> None:
    """Wait for nothing: the rules of an interface are in force already."""


def add(handle: Path, wire: Wire, gateway: Gateway, ready: Callable[[], None] = at_once) -> None:
    """Plug one more interface into the namespace at *handle*.

    *ready* is called before the interface comes up: it waits for the rules, so that its first word
    on the wire is neither lost nor too free.
    Raises: OSError, and what *ready* raises. Blocking; the calling thread stays in that namespace.
    """
    with NetlinkSocket() as host:
        enter(handle)
        with NetlinkSocket() as inside:
            try:
                _plug_all(host, inside, [wire], ready)
                _set_gateway(inside, gateway)
            except BaseException:
                with suppress(OSError):
                    inside.run(link.delete(wire.interface))
                raise


def remove(handle: Path, interface: str, gateway: Gateway, *, give_back: str = "") -> None:
    """Route through *gateway* from now on, and take an interface out of the namespace at *handle*.

    *give_back*: the name under which a plugin's interface returns to the host.
    Blocking; the calling thread stays in that namespace. An interface that is gone is fine.
    """
    host_fd = os.open(_OWN_NAMESPACE, os.O_RDONLY | os.O_CLOEXEC)
    try:
        enter(handle)
        with NetlinkSocket() as inside:
            _set_gateway(inside, gateway)
            if give_back:
                _give_back(inside, interface, give_back, host_fd)
                return
        drop_link(interface)
    finally:
        os.close(host_fd)


def _give_back(inside: NetlinkSocket, interface: str, name: str, namespace: int) -> None:
    try:
        index = link.read(inside, interface).index
        inside.run(link.set_down(interface))
        inside.run(link.move(index, name=name, namespace=namespace))
    except NetlinkError as error:
        if error.errno != errno.ENODEV:
            raise


def is_there(interface: str) -> bool:
    """Whether the calling thread's namespace has such an interface. Never blocks."""
    try:
        return socket.if_nametoindex(interface) > 0
    except OSError:
        return False


def enter(handle: Path) -> None:
    """Move the calling thread into the namespace at *handle*, for good."""
    fd = os.open(handle, os.O_RDONLY | os.O_CLOEXEC)
    try:
        namespaces.setns(fd, namespaces.CLONE_NEWNET)
    finally:
        os.close(fd)


def missing(wanted: Mapping[Path, Iterable[str]]) -> dict[Path, set[str]]:
    """Return which interfaces are not in the namespaces where they are *wanted*, by handle.

    Blocking; the calling thread stays in one of them. A namespace that is gone misses nothing.
    """
    found: dict[Path, set[str]] = {}
    for handle, interfaces in wanted.items():
        with suppress(OSError):
            enter(handle)
            found[handle] = {name for name in interfaces if not is_there(name)}
    return found


def drop(handle: Path, interfaces: Iterable[str]) -> None:
    """Delete interfaces in the namespace at *handle*, whatever keeps it from going away.

    Their Ethernet addresses are free on the parent then. Blocking; the calling thread stays there.
    A namespace or an interface that is gone is fine.
    """
    with suppress(OSError):
        enter(handle)
        for interface in interfaces:
            drop_link(interface)


def unpin(handle: Path) -> None:
    """Drop the handle of a namespace; the kernel frees it when nothing uses it. Idempotent."""
    with suppress(OSError):
        mount.umount2(str(handle), mount.MNT_DETACH)
    with suppress(FileNotFoundError):
        handle.unlink()


def cut(port: str) -> None:
    """Stop all traffic of a bridge port now, without waiting for its removal. Idempotent."""
    try:
        index = socket.if_nametoindex(port)
    except OSError:
        return
    with NetlinkSocket() as host, suppress(NetlinkError):
        host.run(link.port_cut(index))


def drop_link(name: str) -> None:
    """Delete an interface of the calling thread's namespace, and wait until nobody sees it.

    Blocking. The kernel takes it out of its lists within a millisecond, and waits 15 or more for
    its readers. An interface that is gone is fine.
    """
    offload.until(lambda: not is_there(name), delete_link, name)


def delete_link(name: str) -> None:
    """Delete an interface of the calling thread's namespace; one that is gone is fine."""
    with NetlinkSocket() as here:
        try:
            here.run(link.delete(name))
        except NetlinkError as error:
            if error.errno != errno.ENODEV:
                raise


def _pin(handle: Path) -> None:
    os.close(os.open(handle, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o444))
    try:
        mount.mount(_OWN_NAMESPACE, str(handle), None, mount.MS_BIND)
    except BaseException:
        handle.unlink()
        raise


def _plug_all(
    host: NetlinkSocket, inside: NetlinkSocket, wires: list[Wire], ready: Callable[[], None]
) -> None:
    fd = os.open(_OWN_NAMESPACE, os.O_RDONLY | os.O_CLOEXEC)
    try:
        for wire in wires:
            _plug(host, wire, fd)
    finally:
        os.close(fd)
    ready()
    for wire in wires:
        if wire.ipv6:
            _write_sysctl(f"ipv6/conf/{wire.interface}/disable_ipv6", "0")
        inside.run(*_dress(wire))
        for name, value in wire.sysctls.items():
            _write_sysctl(sysctl_path(name), value)


def _plug(host: NetlinkSocket, wire: Wire, fd: int) -> None:
    plug = wire.plug
    device = link.read(host, plug.device).index
    match plug.kind:
        case "veth":
            made = link.veth(
                plug.port,
                master=device,
                mtu=wire.mtu,
                peer=wire.interface,
                peer_mac=wire.mac,
                namespace=fd,
            )
            refused = host.run_each([made, link.no_link_local(plug.port)])
            if refused and refused[0].index == 0:  # a kernel without IPv6 refuses the second
                raise refused[0]
            set_port(host, wire)
        case "macvlan":
            host.run(
                link.macvlan(
                    wire.interface,
                    parent=device,
                    mode=plug.mode,
                    mac=wire.mac,
                    mtu=wire.mtu,
                    namespace=fd,
                )
            )
        case "ipvlan":
            host.run(
                link.ipvlan(
                    wire.interface,
                    parent=device,
                    mode=plug.mode,
                    flag=plug.flag,
                    mtu=wire.mtu,
                    namespace=fd,
                )
            )
        case _:
            host.run(link.set_down(plug.device))
            host.run(link.move(device, name=wire.interface, namespace=fd))


def set_ports(wires: Iterable[Wire]) -> None:
    """Tell the bridges of interfaces that are plugged in what has changed of their ports.

    Blocking. Raises: OSError.
    """
    with NetlinkSocket() as host:
        for wire in wires:
            if wire.plug.port:
                set_port(host, wire)


def set_port(host: NetlinkSocket, wire: Wire) -> None:
    """Tell the bridge what kind of port a wire has: where hairpin mode is, and whose words pass."""
    plug = wire.plug
    if not plug.hairpin and not plug.confined:
        return
    index = link.read(host, plug.port).index
    requests = [link.port_mode(index, hairpin=plug.hairpin, confined=plug.confined)]
    if plug.confined:
        requests.insert(0, neighbour.lives_at(index, wire.mac))
    host.run(*requests)


def _unplug_outside(host: NetlinkSocket, plug: Plug) -> None:
    """Undo what a failed build may have left in the host's namespace."""
    if plug.kind == "veth":
        with suppress(NetlinkError):
            host.run(link.delete(plug.port))


def _dress(wire: Wire) -> list[Request]:
    requests: list[Request] = []
    if wire.plug.kind == "moved" and wire.mac:
        requests.append(link.set_mac(wire.interface, wire.mac))
    requests.append(link.set_up(wire.interface))
    index = socket.if_nametoindex(wire.interface)
    requests += [address.add(index, ipaddress.ip_interface(text)) for text in wire.addresses]
    for subnet, gateway in wire.routes:
        requests.append(
            route.add(
                ipaddress.ip_network(subnet),
                gateway=ipaddress.ip_address(gateway) if gateway else None,
                interface=index,
            )
        )
    return requests


def _set_gateway(inside: NetlinkSocket, gateway: Gateway) -> None:
    for destination, hop, interface in (
        (_DEFAULT4, gateway.ipv4, gateway.interface4),
        (_DEFAULT6, gateway.ipv6, gateway.interface6),
    ):
        if hop or interface:
            index = socket.if_nametoindex(interface) if interface else 0
            target = ipaddress.ip_address(hop) if hop else None
            inside.run(route.add(destination, gateway=target, interface=index))
        else:
            with suppress(NetlinkError):  # there was none
                inside.run(route.delete(destination))


def sysctl_path(name: str) -> str:
    """Return the path below /proc/sys/net of ``net.ipv4.conf.eth0.x``; a ``/`` stands for a dot.

    Raises: ValueError, for a name that would lead elsewhere.
    """
    parts = name.removeprefix("net.").split(".")
    if not all(parts) or any(part in {"", ".", ".."} or "\0" in part for part in parts):
        message = f"not a network sysctl: {name!r}"
        raise ValueError(message)
    path = "/".join(part.replace("/", ".") for part in parts)
    if any(part in {"", ".", ".."} for part in path.split("/")):
        message = f"not a network sysctl: {name!r}"
        raise ValueError(message)
    return path


def _write_sysctl(path: str, value: str) -> None:
    try:
        fd = os.open(f"/proc/sys/net/{path}", os.O_WRONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        if path.startswith("ipv6/"):
            return  # a kernel without IPv6
        raise
    try:
        os.write(fd, value.encode())
    finally:
        os.close(fd)
