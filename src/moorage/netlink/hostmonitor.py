"""What happens to this host's interfaces and routes: the kernel's notifications, never blocking."""

from __future__ import annotations

import ctypes
import errno
import socket
import struct
from typing import Final

from msgspec import Struct, field

from moorage.netlink import link, route
from moorage.netlink.message import messages
from moorage.netlink.nlsocket import NETLINK_ROUTE
from moorage.netlink.route import IPNetwork

_GROUPS: Final = 0x1 | 0x40 | 0x400  # RTMGRP_LINK, RTMGRP_IPV4_ROUTE, RTMGRP_IPV6_ROUTE
_SO_ATTACH_FILTER: Final = 26
_KINDS: Final = (link.RTM_DELLINK, route.RTM_NEWROUTE, route.RTM_DELROUTE)
_RECEIVE_BYTES: Final = 1 << 16
_BUFFER_BYTES: Final = 1 << 20

# linux/filter.h
_LOAD_HALF: Final = 0x28  # BPF_LD | BPF_H | BPF_ABS
_JUMP_EQUAL: Final = 0x15  # BPF_JMP | BPF_JEQ | BPF_K
_RETURN: Final = 0x6  # BPF_RET | BPF_K
_FILTER: Final = struct.Struct("=HBBI")
_PROGRAM: Final = struct.Struct("@HP")
_KIND_OFFSET: Final = 4  # nlmsghdr.nlmsg_type


class Happened(Struct, kw_only=True):
    """What has happened since the last look."""

    gone: list[str] = field(default_factory=list)  # interfaces
    routes: list[IPNetwork] = field(default_factory=list)  # that are new
    stale: bool = False  # routes may have gone, or events were lost


class HostMonitor:
    """Reads about interfaces that are deleted and about routes.

    The kernel says nothing when an IPv4 route goes because its interface went down. All other
    events (every container makes a dozen) are filtered out in the kernel.
    """

    def __init__(self) -> None:
        self._socket = socket.socket(
            socket.AF_NETLINK,
            socket.SOCK_RAW | socket.SOCK_CLOEXEC | socket.SOCK_NONBLOCK,
            NETLINK_ROUTE,
        )
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _BUFFER_BYTES)
        self._attach(_program())
        self._socket.bind((0, _GROUPS))

    def _attach(self, program: bytes) -> None:
        buffer = ctypes.create_string_buffer(program)
        count = len(program) // _FILTER.size
        packed = _PROGRAM.pack(count, ctypes.addressof(buffer))
        self._socket.setsockopt(socket.SOL_SOCKET, _SO_ATTACH_FILTER, packed)

    def fileno(self) -> int:
        """Return the descriptor to poll."""
        return self._socket.fileno()

    def close(self) -> None:
        """Stop listening."""
        self._socket.close()

    def read(self) -> Happened:
        """Return what has happened."""
        happened = Happened()
        while True:
            try:
                datagram = self._socket.recv(_RECEIVE_BYTES)
            except BlockingIOError:
                return happened
            except OSError as error:
                if error.errno != errno.ENOBUFS:
                    raise
                happened.stale = True
                continue
            for kind, _flags, _sequence, body in messages(datagram):
                if kind == link.RTM_DELLINK:
                    happened.gone.append(link.parse(body).name)
                    happened.stale = True
                elif kind == route.RTM_DELROUTE:
                    happened.stale = True
                elif kind == route.RTM_NEWROUTE and (found := route.parse(body)) is not None:
                    happened.routes.append(found.destination)


def _program() -> bytes:
    """Return a filter that lets the messages of ``_KINDS`` pass (classic BPF)."""
    steps = [_FILTER.pack(_LOAD_HALF, 0, 0, _KIND_OFFSET)]
    for left, kind in enumerate(reversed(_KINDS)):
        steps.insert(1, _FILTER.pack(_JUMP_EQUAL, left + 1, 0, socket.htons(kind)))
    steps.append(_FILTER.pack(_RETURN, 0, 0, 0))
    steps.append(_FILTER.pack(_RETURN, 0, 0, 0xFFFFFFFF))
    return b"".join(steps)
