"""A load generator for name servers, run inside a container's network namespace.

usage: python dnsload.py [--rate N] [--seconds S] NAME...

Asks the server at 127.0.0.11 for the A record of each name in turn, from one UDP socket: *rate*
questions a second at an even pace, whether they are answered or not; without a rate, as many as
are answered while 64 are under way. Prints what came of it as JSON. Standard library alone.
"""

from __future__ import annotations

import argparse
import json
import select
import socket
import struct
import sys
import time
from collections.abc import Iterator, Sequence

_SERVER = ("127.0.0.11", 53)
_WINDOW = 64
_STRAGGLERS_S = 1.0  # an answer later than that is lost


def question(name: str) -> bytes:
    """Return the question for a name's A record, but for its id."""
    labels = b"".join(bytes((len(label),)) + label.encode() for label in name.split("."))
    return struct.pack("!HHHHH", 0x0100, 1, 0, 0, 0) + labels + struct.pack("!BHH", 0, 1, 1)


class Load:
    """One socket, and the questions that have no answer yet."""

    def __init__(self, names: Sequence[str]) -> None:
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 20)
        self._socket.connect(_SERVER)
        self._socket.settimeout(0)
        self._questions = [question(name) for name in names]
        self._asked: dict[int, float] = {}  # id: when
        self.sent = 0
        self.wrong = 0
        self.delays_s: list[float] = []

    @property
    def under_way(self) -> int:
        """The number of questions without an answer."""
        return len(self._asked)

    def ask(self, count: int) -> None:
        """Send *count* questions."""
        for _ in range(count):
            number = self.sent & 0xFFFF
            body = self._questions[self.sent % len(self._questions)]
            self._asked[number] = time.perf_counter()
            self._socket.send(number.to_bytes(2, "big") + body)
            self.sent += 1

    def listen(self, timeout_s: float) -> None:
        """Take what answers there are; wait for the first one for *timeout_s*."""
        if not select.select([self._socket], [], [], max(0.0, timeout_s))[0]:
            return
        for answer in self._answers():
            began = self._asked.pop(int.from_bytes(answer[:2], "big"), None)
            if began is None or answer[3] & 0xF or answer[6:8] == b"\0\0":
                self.wrong += 1
            else:
                self.delays_s.append(time.perf_counter() - began)

    def _answers(self) -> Iterator[bytes]:
        while True:
            try:
                yield self._socket.recv(4096)
            except BlockingIOError:
                return

    def paced(self, rate: int, seconds: float) -> None:
        """Ask *rate* questions a second, whatever comes back."""
        began = time.perf_counter()
        while (passed := time.perf_counter() - began) < seconds:
            self.ask(int(passed * rate) - self.sent)
            self.listen(0.001)

    def closed(self, seconds: float) -> None:
        """Ask a new question for each answer."""
        began = time.perf_counter()
        while time.perf_counter() - began < seconds:
            self.ask(_WINDOW - self.under_way)
            self.listen(_STRAGGLERS_S)


def main() -> None:
    """Run one load and print its outcome."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--rate", type=int, default=0)
    parser.add_argument("--seconds", type=float, default=3.0)
    parser.add_argument("names", nargs="+")
    asked = parser.parse_args()
    load = Load(asked.names)
    began = time.perf_counter()
    if asked.rate:
        load.paced(asked.rate, asked.seconds)
    else:
        load.closed(asked.seconds)
    took = time.perf_counter() - began
    deadline = time.perf_counter() + _STRAGGLERS_S
    while load.under_way and time.perf_counter() < deadline:
        load.listen(deadline - time.perf_counter())
    delays = sorted(load.delays_s)
    outcome = {
        "sent": load.sent,
        "lost": load.under_way,
        "wrong": load.wrong,
        "rate": len(delays) / took,
        "median_s": delays[len(delays) // 2] if delays else None,
        "p99_s": delays[len(delays) * 99 // 100] if delays else None,
    }
    sys.stdout.write(json.dumps(outcome))


if __name__ == "__main__":
    main()
