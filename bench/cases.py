"""The cases, one function each: what is done, and the ratio beside dockerd that is aimed at.

Each takes the engines that run and the number of rounds, and gives rows. All go through the same
official CLI, except where the case is about the API itself or about ``moor``.
"""

from __future__ import annotations

import re
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path

from bench import building, imagework, networking, registrywork
from bench import engines as eng
from bench.chosen import IMAGE, Engines, daemons, each
from bench.measure import Row, interleaved, seconds


def run(engines: Engines, rounds: int, _scratch: Path) -> list[Row]:
    """``run --rm IMAGE true`` on each kind of network."""
    rows = []
    for network, target in (("none", 0.35), ("bridge", 0.30), ("host", 0.50)):

        def work(engine: eng.Engine, network: str = network) -> float:
            own = "podman" if (engine.name, network) == ("podman", "bridge") else network
            return seconds(engine.cli("run", "--rm", "--network", own, IMAGE, "true"))

        row = Row(f"run --rm, network {network}", "ms", target)
        rows.append(interleaved(row, each(engines, work), rounds))
    return rows


def exec_(engines: Engines, rounds: int, _scratch: Path) -> list[Row]:
    """``exec`` of a short command in a running container."""
    for engine in engines:
        eng.run(
            engine.cli(
                "run", "-d", "--name", "bench-exec", "--network", "none", IMAGE, "sleep", "1000"
            )
        )
    row = interleaved(
        Row("exec", "ms", 0.5),
        each(engines, lambda e: seconds(e.cli("exec", "bench-exec", "true"))),
        rounds,
    )
    for engine in engines:
        eng.run(engine.cli("rm", "-f", "bench-exec"))
    return [row]


def ten_at_once(engines: Engines, rounds: int, _scratch: Path) -> list[Row]:
    """Ten containers started at the same moment on the default network."""

    def work(engine: eng.Engine) -> float:
        began = time.perf_counter()
        running = [
            subprocess.Popen(
                engine.cli("run", "--rm", IMAGE, "true"),
                stdout=subprocess.DEVNULL,
                stderr=subprocess.PIPE,
            )
            for _ in range(10)
        ]
        for process in running:
            _out, err = process.communicate()
            if process.returncode:
                raise RuntimeError(err.decode())
        return time.perf_counter() - began

    return [
        interleaved(
            Row("ten run --rm at once", "ms", 0.35), each(engines, work), max(3, rounds // 4)
        )
    ]


_IDLE_S = 10.0
_REST_S = 8.0  # a silent container has come to rest then


def _wrk(engine: eng.Engine, path: str) -> float:
    command = ["wrk", "-t1", "-c8", "-d3s", f"http://127.0.0.1:{eng.PORT}{path}"]
    text = eng.run(eng.in_namespace(engine.name, command))
    if "Non-2xx" in text:
        raise RuntimeError(text)
    found = re.search(r"Requests/sec:\s+([\d.]+)", text)
    assert found
    return float(found[1])


def api(engines: Engines, _rounds: int, _scratch: Path) -> list[Row]:
    """Requests a second with eight keep-alive connections (wrk)."""
    compared = daemons(engines)
    ping = interleaved(
        Row("GET /_ping", "req/s", 2.0, "more"), each(compared, lambda e: _wrk(e, "/_ping")), 3, 1
    )
    for engine in compared:
        for _ in range(100):
            eng.run(engine.cli("create", IMAGE, "true"))
    listing = interleaved(
        Row("GET /containers/json, 100 containers", "req/s", 1.0, "more"),
        each(compared, lambda e: _wrk(e, "/v1.41/containers/json?all=1")), 3, 1,
    )  # fmt: skip
    rows = [ping, listing, _listing_client(compared)]
    for engine in compared:
        eng.run(engine.cli("rm", *eng.run(engine.cli("ps", "-aq")).split()))
    return rows


def _listing_client(compared: Sequence[eng.Daemon]) -> Row:
    """`moor ps` beside `docker ps`, both against our daemon; the columns are the clients'."""
    ours = next(engine for engine in compared if engine.name == "moorage")
    host = f"unix://{ours.socket}"
    works = {
        "moorage": lambda: seconds([str(eng.TREE / ".venv/bin/moor"), "-H", host, "ps", "-a"]),
        "dockerd": lambda: seconds(["docker", "-H", host, "ps", "-a"]),
    }
    return interleaved(Row("moor ps / docker ps (client alone)", "ms", 1.0), works, 20)


def memory(engines: Engines, _rounds: int, _scratch: Path) -> list[Row]:
    """Proportional set size: the daemon when it has been idle for a while, and what a container adds."""
    idle = Row("idle daemon, PSS", "KiB", 0.4)
    silent = Row("monitor of a silent container, PSS", "KiB", 0.25)
    writing = Row("monitor of a container that writes each second, PSS", "KiB", None)
    time.sleep(_IDLE_S)
    for engine in engines:
        if engine.daemon_pids():
            idle.medians[engine.name] = eng.pss_kib(engine.daemon_pids())
        for row, program in (
            (silent, ["sleep", "1000"]),
            (writing, ["sh", "-c", "while :; do echo .; sleep 1; done"]),
        ):
            names = [f"bench-m{number}" for number in range(10)]
            for name in names:
                eng.run(engine.cli("run", "-d", "--network=none", "--name", name, IMAGE, *program))
            time.sleep(_REST_S)
            monitors = engine.monitor_pids()
            if monitors:
                row.medians[engine.name] = eng.pss_kib(monitors) / len(names)
            eng.run(engine.cli("rm", "-f", *names))
    return [idle, silent, writing]


def logs(engines: Engines, _rounds: int, _scratch: Path) -> list[Row]:
    """Write, then read back, a million lines."""
    compared = daemons(engines)
    for engine in compared:
        eng.run(
            engine.cli(
                "run",
                "--name",
                "bench-logs",
                "--network",
                "none",
                "--log-opt",
                "max-size=1g",
                IMAGE,
                "seq",
                "1000000",
            )
        )
    row = interleaved(
        Row("logs, a million lines", "ms", 1.0),
        each(compared, lambda e: seconds(e.cli("logs", "bench-logs"))),
        3,
    )
    for engine in compared:
        eng.run(engine.cli("rm", "bench-logs"))
    return [row]


def restart(engines: Engines, _rounds: int, _scratch: Path) -> list[Row]:
    """Start of our daemon while 50 containers run (dockerd would stop them: not compared)."""
    ours = next((e for e in engines if isinstance(e, eng.Moorage)), None)
    if ours is None:
        return []
    for _ in range(50):
        eng.run(ours.cli("run", "-d", IMAGE, "sleep", "10000"))
    assert ours._process is not None
    subprocess.run(["kill", "-9", str(ours.pid)], check=True)
    ours._process.wait()
    row = Row("daemon start after kill -9, 50 containers running", "ms", None)
    row.medians["moorage"] = ours.restart() * 1000
    running = eng.run(ours.cli("ps", "-q")).split()
    if len(running) != 50:
        raise RuntimeError(f"only {len(running)} of 50 containers were found again")
    eng.run(ours.cli("rm", "-f", *running))
    return [row]


CASES = {
    "memory": memory,  # first: the daemon has done nothing yet
    "run": run,
    "exec": exec_,
    "ten": ten_at_once,
    "api": api,
    "published": networking.published,
    "connect": networking.connect,
    "many": networking.many,
    "names": networking.names,
    "latency": networking.latency,
    "throughput": networking.throughput,
    "build": imagework.build,
    "steps": building.steps,
    "stages": building.stages,
    "changed": building.changed_file,
    "copy": building.large_copy,
    "load": imagework.load_save,
    "registry": registrywork.push_and_pull,
    "present": registrywork.mostly_present,
    "layer": registrywork.large_layer,
    "logs": logs,
    "restart": restart,
}
