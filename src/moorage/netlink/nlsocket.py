"""A netlink socket: requests in batches, answers matched by sequence number.

Blocking, for the threads that change networks: rtnetlink takes one lock for the whole kernel and
may hold it for milliseconds, so no call here belongs on the event loop. A socket stays in the
network namespace it was opened in, whichever thread uses it.
"""

from __future__ import annotations

import os
import socket
import struct
from collections.abc import Sequence
from types import TracebackType
from typing import Final, Self

from moorage.netlink.message import (
    HEADER,
    NLM_F_ACK,
    NLM_F_ACK_TLVS,
    NLM_F_CAPPED,
    NLM_F_MULTI,
    NLM_F_ROOT_MATCH,
    NLMSG_DONE,
    NLMSG_ERROR,
    Request,
    attribute_map,
    messages,
)

NETLINK_ROUTE: Final = 0
NETLINK_XFRM: Final = 6
NETLINK_NETFILTER: Final = 12
NETLINK_GENERIC: Final = 16

_SOL_NETLINK: Final = 270
_NETLINK_CAP_ACK: Final = 10
_NETLINK_EXT_ACK: Final = 11
_NETLINK_GET_STRICT_CHK: Final = 12
_NLMSGERR_ATTR_MSG: Final = 1
_RECEIVE_BYTES: Final = 1 << 17
_TIMEOUT_S: Final = 30.0
_BATCH: Final = 64
"""Requests sent together: the kernel queues all acknowledgements before it takes anything else, and
beyond some 250 a socket of ordinary size has no room for them."""


class NetlinkError(OSError):
    """The kernel refused the request at *index* of a batch, with its own words if it gave any."""

    def __init__(self, number: int, explanation: str, index: int = 0) -> None:
        text = os.strerror(number)
        super().__init__(number, f"{text}: {explanation}" if explanation else text)
        self.index = index


class NetlinkSocket:
    """One socket of one netlink protocol in the network namespace of the opening thread."""

    def __init__(self, protocol: int = NETLINK_ROUTE) -> None:
        self._socket = socket.socket(
            socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, protocol
        )
        self._socket.settimeout(_TIMEOUT_S)
        self._socket.setsockopt(_SOL_NETLINK, _NETLINK_CAP_ACK, 1)
        self._socket.setsockopt(_SOL_NETLINK, _NETLINK_EXT_ACK, 1)
        if protocol == NETLINK_ROUTE:
            self._socket.setsockopt(_SOL_NETLINK, _NETLINK_GET_STRICT_CHK, 1)
        self._socket.bind((0, 0))
        self._sequence = 0

    def close(self) -> None:
        """Close the socket."""
        self._socket.close()

    def __enter__(self) -> Self:
        """Return the socket itself."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Close the socket."""
        self.close()

    def run(self, *requests: Request) -> None:
        """Send *requests* in order and wait for all acknowledgements.

        The kernel goes on after a refused request; the first refusal is raised at the end.
        Raises: NetlinkError.
        """
        failure = self.run_each(requests)
        if failure:
            raise failure[0]

    def run_each(self, requests: Sequence[Request]) -> list[NetlinkError]:
        """Send *requests* in order; return the refusals in order instead of raising.

        One batch as a rule; more than ``_BATCH`` go in several.
        """
        failures: list[NetlinkError] = []
        for at in range(0, len(requests), _BATCH):
            failures += self._run_batch(requests[at : at + _BATCH], at)
        return failures

    def _run_batch(self, requests: Sequence[Request], offset: int) -> list[NetlinkError]:
        first = self._sequence + 1
        self._sequence += len(requests)
        self._socket.send(b"".join(r.pack(first + i, NLM_F_ACK) for i, r in enumerate(requests)))
        failures: list[NetlinkError] = []
        awaited = len(requests)
        while awaited:
            for kind, flags, sequence, body in messages(self._socket.recv(_RECEIVE_BYTES)):
                if sequence < first or kind != NLMSG_ERROR:
                    continue  # an echo, or the late answer to an abandoned request
                awaited -= 1
                if failure := _failure(flags, body, offset + sequence - first):
                    failures.append(failure)
        return failures

    def get(self, request: Request) -> list[bytes]:
        """Send one request for a single object; return the bodies that answer it.

        Raises: NetlinkError.
        """
        self._sequence += 1
        sequence = self._sequence
        self._socket.send(request.pack(sequence, NLM_F_ACK))
        bodies: list[bytes] = []
        while True:
            for kind, flags, got, body in messages(self._socket.recv(_RECEIVE_BYTES)):
                if got != sequence:
                    continue
                if kind != NLMSG_ERROR:
                    bodies.append(body)
                    continue
                if failure := _failure(flags, body, 0):
                    raise failure
                return bodies

    def dump(self, request: Request) -> list[bytes]:
        """Send a request for a whole table; return the body of each entry.

        Raises: NetlinkError.
        """
        self._sequence += 1
        sequence = self._sequence
        self._socket.send(request.pack(sequence, NLM_F_ROOT_MATCH))
        bodies: list[bytes] = []
        while True:
            for kind, flags, got, body in messages(self._socket.recv(_RECEIVE_BYTES)):
                if got != sequence:
                    continue
                if kind == NLMSG_DONE:
                    return bodies
                if kind == NLMSG_ERROR:
                    if failure := _failure(flags, body, 0):
                        raise failure
                    return bodies
                bodies.append(body)
                if not flags & NLM_F_MULTI:
                    return bodies


def _failure(flags: int, body: bytes, index: int) -> NetlinkError | None:
    (number,) = struct.unpack_from("=i", body)
    if number == 0:
        return None
    explanation = ""
    if flags & NLM_F_ACK_TLVS:
        echoed = HEADER.size
        if not flags & NLM_F_CAPPED:
            (echoed,) = struct.unpack_from("=I", body, 4)
        extra = attribute_map(body[4 + ((echoed + 3) & ~3) :])
        explanation = extra.get(_NLMSGERR_ATTR_MSG, b"").rstrip(b"\0").decode(errors="replace")
    return NetlinkError(-number, explanation, index)
