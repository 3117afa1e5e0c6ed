"""Cases about networks: published ports, connect and disconnect, throughput."""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Callable
from pathlib import Path

from bench import engines as eng
from bench import fixtures
from bench.chosen import IMAGE, Engines, daemons, each
from bench.measure import Row, interleaved, seconds

_PORT = 18080
_NETWORK = "bench-net"
# Runs its arguments, then asks until the port answers; prints the seconds of both.
_FIRST_ANSWER = f"""
import socket, subprocess, sys, time
began = time.perf_counter()
subprocess.run(sys.argv[1:], check=True, stdout=subprocess.DEVNULL)
while True:
    try:
        with socket.create_connection(("127.0.0.1", {_PORT}), 1) as asked:
            asked.sendall(b"GET /passwd HTTP/1.0\\r\\n\\r\\n")
            if asked.recv(64).startswith(b"HTTP"):
                break
    except OSError:
        pass
    if time.perf_counter() - began > 30:
        sys.exit("no answer")
    time.sleep(0.001)
print(time.perf_counter() - began)
"""


def published(engines: Engines, rounds: int, _scratch: Path) -> list[Row]:
    """From ``run -d -p`` to the first answer on the published port."""

    def work(engine: eng.Engine) -> float:
        port = f"{_PORT}:80"
        server = engine.cli(
            "run", "-d", "--name", "bench-web", "-p", port, IMAGE, "httpd", "-f", "-h", "/etc"
        )
        asker = [sys.executable, "-ISc", _FIRST_ANSWER, *server]
        took = float(eng.run(eng.in_namespace(engine.name, asker)))
        eng.run(engine.cli("rm", "-f", "bench-web"))
        return took

    row = Row("run -d -p to the first answer", "ms", 0.35)
    return [interleaved(row, each(daemons(engines), work), max(3, rounds // 2))]


def connect(engines: Engines, rounds: int, _scratch: Path) -> list[Row]:
    """``network connect`` and ``disconnect`` of a running container."""
    compared = daemons(engines)
    for engine in compared:
        eng.run(engine.cli("network", "create", _NETWORK))
        eng.run(engine.cli("run", "-d", "--name", "bench-roaming", IMAGE, "sleep", "1000"))
    leaving: dict[str, list[float]] = {engine.name: [] for engine in compared}

    def work(engine: eng.Engine) -> float:
        took = seconds(engine.cli("network", "connect", _NETWORK, "bench-roaming"))
        leave = engine.cli("network", "disconnect", _NETWORK, "bench-roaming")
        leaving[engine.name].append(seconds(leave))
        return took

    joined = interleaved(Row("network connect", "ms", 0.5), each(compared, work), rounds)
    left = Row("network disconnect", "ms", 0.5)
    left.set_medians(leaving)
    for engine in compared:
        eng.run(engine.cli("rm", "-f", "bench-roaming"))
        eng.run(engine.cli("network", "rm", _NETWORK))
    return [joined, left]


def throughput(engines: Engines, _rounds: int, scratch: Path) -> list[Row]:
    """One TCP stream from container to container (iperf3), if it is installed."""
    if shutil.which("iperf3") is None:
        return []
    archive = scratch / "iperf3.tar"
    fixtures.iperf3(archive)
    compared = daemons(engines)
    for engine in compared:
        eng.run(engine.cli("load", "-q", "-i", str(archive)))
        eng.run(engine.cli("network", "create", _NETWORK))
    serve = ["run", "-d", "--name", "bench-server", "--network", _NETWORK, "iperf3:bench"]

    def work(engine: eng.Engine) -> float:
        eng.run(engine.cli(*serve, "iperf3", "-s"))
        wanted = "{{range .NetworkSettings.Networks}}{{.IPAddress}}{{end}}"
        address = eng.run(engine.cli("inspect", "--format", wanted, "bench-server")).strip()
        ask = ["run", "--rm", "--network", _NETWORK, "iperf3:bench", "iperf3", "-J", "-t", "3"]
        said = eng.run(engine.cli(*ask, "-c", address))
        eng.run(engine.cli("rm", "-f", "bench-server"))
        return float(json.loads(said)["end"]["sum_received"]["bits_per_second"])

    works: dict[str, Callable[[], float]] = each(compared, work)
    row = Row("container to container, TCP", "Gbit/s", 1.0, "more")
    rows = [interleaved(row, works, 3, 1e-9)]
    for engine in compared:
        eng.run(engine.cli("network", "rm", _NETWORK))
    return rows
