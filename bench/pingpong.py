"""The time of a word there and back over TCP, one at a time.

usage: python pingpong.py serve PORT
       python pingpong.py ask ADDRESS PORT SECONDS

``serve`` says when it listens; ``ask`` prints the median of the round trips in microseconds.
Run both in the network namespaces between which the way is to be measured. Standard library alone.
"""

from __future__ import annotations

import socket
import statistics
import sys
import time

_WORD = b"x" * 64
_WARM_UP = 200


def serve(port: int) -> None:
    """Give back what comes, to one client after the other."""
    with socket.create_server(("", port)) as listener:
        sys.stdout.write("listening\n")
        sys.stdout.flush()
        while True:
            client, _ = listener.accept()
            client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            with client:
                while word := client.recv(len(_WORD)):
                    client.sendall(word)


def ask(address: str, port: int, seconds: float) -> float:
    """Return the median of a round trip in microseconds."""
    with socket.create_connection((address, port), 5) as server:
        server.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        trips: list[float] = []
        deadline = time.perf_counter() + seconds
        while (began := time.perf_counter()) < deadline:
            server.sendall(_WORD)
            missing = len(_WORD)
            while missing:
                missing -= len(server.recv(missing))
            trips.append(time.perf_counter() - began)
    return statistics.median(trips[_WARM_UP:]) * 1e6


if __name__ == "__main__":
    if sys.argv[1] == "serve":
        serve(int(sys.argv[2]))
    else:
        sys.stdout.write(f"{ask(sys.argv[2], int(sys.argv[3]), float(sys.argv[4]))}\n")
