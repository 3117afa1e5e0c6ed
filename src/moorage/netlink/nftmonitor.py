"""What others do to nftables: the kernel's notifications, read without blocking."""

from __future__ import annotations

import errno
import socket
import struct
from typing import Final

from moorage.netlink.message import attribute_map
from moorage.netlink.nlsocket import NETLINK_NETFILTER

_HEADER: Final = struct.Struct("=IHHII")
_SUBSYS_NFTABLES: Final = 10
_NFNLGRP_NFTABLES: Final = 7
_SOL_NETLINK: Final = 270
_NETLINK_ADD_MEMBERSHIP: Final = 1
_NFT_MSG_NEWTABLE: Final = 0
# DELTABLE, DELCHAIN, NEWRULE, DELRULE, DELSET, DELSETELEM: what can break a table of ours
_HARMFUL: Final = frozenset({2, 5, 6, 8, 11, 14})
# NEWCHAIN, DELRULE, DELCHAIN, DELTABLE: what can change whether rules stand in others' chains
_RESHAPING: Final = frozenset({2, 3, 5, 8})
_NFTA_TABLE: Final = 1  # the table's name, in every kind of message
_RECEIVE_BYTES: Final = 1 << 16


class NftMonitor:
    """Tells whether somebody else changed the table *table*.

    Our own changes carry the port number of our nft socket. That number is another one whenever
    the socket was opened anew; ``greeting`` is what a new socket says first, to be known by.
    """

    def __init__(self, table: str) -> None:
        self._table = table.encode()
        self._greeter = f"{table}_self"
        self._own: int | None = None
        self.reshaped = False  # others have changed tables of theirs; whoever reads it resets it
        self._socket = socket.socket(
            socket.AF_NETLINK,
            socket.SOCK_RAW | socket.SOCK_CLOEXEC | socket.SOCK_NONBLOCK,
            NETLINK_NETFILTER,
        )
        self._socket.bind((0, 0))
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 20)
        self._socket.setsockopt(_SOL_NETLINK, _NETLINK_ADD_MEMBERSHIP, _NFNLGRP_NFTABLES)

    def fileno(self) -> int:
        """Return the descriptor to poll."""
        return self._socket.fileno()

    def close(self) -> None:
        """Stop listening."""
        self._socket.close()

    @property
    def greeting(self) -> str:
        """The commands by which our nft socket makes itself known; they leave nothing."""
        return f"add table ip {self._greeter}\ndelete table ip {self._greeter}"

    def harmed(self) -> bool:
        """Read what has happened; whether somebody else broke the table, or may have."""
        events = self._read()
        if events is None:
            self.reshaped = True
            return True  # the queue overflowed: anything may have happened
        greeter, harmed = self._greeter.encode(), False
        for kind, port, table in events:
            if kind == _NFT_MSG_NEWTABLE and table == greeter:
                self._own = port
            elif port == self._own:
                continue
            elif table == self._table:
                harmed |= kind in _HARMFUL
            else:
                self.reshaped |= kind in _RESHAPING
        return harmed

    def _read(self) -> list[tuple[int, int, bytes]] | None:
        events: list[tuple[int, int, bytes]] = []
        while True:
            try:
                datagram = self._socket.recv(_RECEIVE_BYTES)
            except BlockingIOError:
                return events
            except OSError as error:
                if error.errno == errno.ENOBUFS:
                    return None
                raise
            offset = 0
            while offset + _HEADER.size <= len(datagram):
                size, kind, _flags, _sequence, port = _HEADER.unpack_from(datagram, offset)
                if size < _HEADER.size:
                    break
                if kind >> 8 == _SUBSYS_NFTABLES:
                    body = datagram[offset + _HEADER.size + 4 : offset + size]
                    name = attribute_map(body).get(_NFTA_TABLE, b"").rstrip(b"\0")
                    events.append((kind & 0xFF, port, name))
                offset += (size + 3) & ~3
