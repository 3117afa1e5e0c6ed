"""Cases about networks: published ports, connect and disconnect, many of them, names, traffic."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from bench import engines as eng
from bench import fixtures
from bench.apiclient import Api
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
    """``network connect`` and ``disconnect`` of a running container; by the CLI, by the API."""
    compared = daemons(engines)
    for engine in compared:
        eng.run(engine.cli("network", "create", _NETWORK))
        eng.run(engine.cli("run", "-d", "--name", "bench-roaming", IMAGE, "sleep", "1000"))

    def by_cli(engine: eng.Daemon, verb: str) -> float:
        return seconds(engine.cli("network", verb, _NETWORK, "bench-roaming"))

    apis = {engine.name: Api(engine) for engine in compared}

    def by_api(engine: eng.Daemon, verb: str) -> float:
        asked = {"Container": "bench-roaming"}
        return apis[engine.name].seconds("POST", f"/networks/{_NETWORK}/{verb}", asked)

    rows = []
    for how, act in (("", by_cli), (", the API alone", by_api)):
        joined = Row(f"network connect{how}", "ms", 0.4)
        left = Row(f"network disconnect{how}", "ms", 0.4)
        rows += _there_and_back(compared, act, rounds, joined, left)
    for engine in compared:
        eng.run(engine.cli("rm", "-f", "bench-roaming"))
        eng.run(engine.cli("network", "rm", _NETWORK))
    return rows


def _there_and_back(
    compared: list[eng.Daemon],
    act: Callable[[eng.Daemon, str], float],
    rounds: int,
    joined: Row,
    left: Row,
) -> list[Row]:
    leaving: dict[str, list[float]] = {engine.name: [] for engine in compared}

    def work(engine: eng.Daemon) -> float:
        took = act(engine, "connect")
        leaving[engine.name].append(act(engine, "disconnect"))
        return took

    interleaved(joined, {e.name: lambda e=e: work(e) for e in compared}, rounds)
    left.set_medians(leaving)
    return [joined, left]


def many(engines: Engines, _rounds: int, _scratch: Path) -> list[Row]:
    """Networks and endpoints by tens, hundreds and a thousand: the time of each, by the API."""
    rows = []
    for networks, endpoints in ((10, 10), (100, 100), (200, 1000)):
        title = f"{networks} networks, {endpoints} endpoints: "
        made = {
            part: Row(f"{title}{part}", "ms", None)
            for part in ("create", "connect", "list", "disconnect", "remove")
        }
        for engine in daemons(engines):
            for part, times in _fill(engine, networks, endpoints).items():
                made[part].medians[engine.name] = sum(times) / len(times) * 1000
        rows += made.values()
    return rows


def _fill(engine: eng.Daemon, networks: int, endpoints: int) -> dict[str, list[float]]:
    api = Api(engine)
    containers = max(1, endpoints // 20)
    for number in range(containers):
        name = f"bench-c{number}"
        eng.run(engine.cli("run", "-d", "--name", name, IMAGE, "sleep", "9999"))
    pairs = [(n % networks, n * containers // endpoints) for n in range(endpoints)]
    times: dict[str, list[float]] = {}

    def note(part: str, took: Iterator[float]) -> None:
        times[part] = list(took)

    note("create", (api.seconds("POST", "/networks/create", _network(n)) for n in range(networks)))
    for verb in ("connect", "disconnect"):
        note(
            verb,
            (
                api.seconds(
                    "POST", f"/networks/bench-n{n}/{verb}", {"Container": f"bench-c{container}"}
                )
                for n, container in pairs
            ),
        )
        if verb == "connect":
            note("list", (api.seconds("GET", "/networks") for _ in range(10)))
    note("remove", (api.seconds("DELETE", f"/networks/bench-n{n}") for n in range(networks)))
    eng.run(engine.cli("rm", "-f", *(f"bench-c{n}" for n in range(containers))))
    return times


def _network(number: int) -> dict[str, object]:
    """Return a request with a subnet: dockerd's own pools hold 31."""
    subnet = f"10.{100 + number // 256}.{number % 256}.0/24"
    return {"Name": f"bench-n{number}", "IPAM": {"Config": [{"Subnet": subnet}]}}


def names(engines: Engines, _rounds: int, _scratch: Path) -> list[Row]:
    """The name server under 10,000 questions a second, and under all that it answers."""
    lost = Row("DNS at 10,000 questions a second: lost", "answers", None)
    slow = Row("DNS at 10,000 questions a second: the slowest hundredth", "ms", 1.0)
    work = Row("DNS at 10,000 questions a second: CPU", "% of a core", 1.0)
    most = Row("DNS, 64 questions under way", "answers/s", 1.0, "more")
    for engine in daemons(engines):
        with _containers(engine, 5) as inside:
            ask = [*inside[0], sys.executable, "-IS", str(eng.TREE / "bench/dnsload.py")]
            known = [f"bench-p{n}" for n in range(len(inside))]
            before = _cpu_s(engine.daemon_pids())
            said = json.loads(eng.run([*ask, "--rate", "10000", "--seconds", "5", *known]))
            work.medians[engine.name] = (_cpu_s(engine.daemon_pids()) - before) / 5 * 100
            lost.medians[engine.name] = said["lost"] + said["wrong"]
            slow.medians[engine.name] = said["p99_s"] * 1000
            most.medians[engine.name] = json.loads(eng.run([*ask, *known]))["rate"]
    return [lost, slow, work, most]


def _cpu_s(pids: list[int]) -> float:
    ticks = 0
    for pid in pids:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        ticks += int(fields[11]) + int(fields[12])
    return ticks / os.sysconf("SC_CLK_TCK")


@contextmanager
def _containers(engine: eng.Daemon, count: int) -> Iterator[list[list[str]]]:
    """Run containers on one network; give what a command is prefixed with to be inside each.

    The first one publishes port 80.
    """
    eng.run(engine.cli("network", "create", _NETWORK))
    inside = []
    for number in range(count):
        own = ["--name", f"bench-p{number}", "--network", _NETWORK]
        ports = [] if number else ["-p", f"{_PORT}:80"]
        eng.run(engine.cli("run", "-d", *own, *ports, IMAGE, "sleep", "9999"))
        pid = eng.run(engine.cli("inspect", "-f", "{{.State.Pid}}", f"bench-p{number}")).strip()
        inside.append(["nsenter", "-t", pid, "-n"])
    try:
        yield inside
    finally:
        eng.run(engine.cli("rm", "-f", *(f"bench-p{number}" for number in range(count))))
        eng.run(engine.cli("network", "rm", _NETWORK))


def latency(engines: Engines, rounds: int, _scratch: Path) -> list[Row]:
    """A word there and back: between two containers, and from the host to a published port."""
    compared = daemons(engines)
    program = [sys.executable, "-IS", str(eng.TREE / "bench/pingpong.py")]
    rows = [
        Row("container to container, round trip", "µs", 1.0),
        Row("host to published port, round trip", "µs", 1.0),
    ]

    def between(engine: eng.Daemon, row: int) -> float:
        with _containers(engine, 2) as inside:
            served = subprocess.Popen(
                [*inside[0], *program, "serve", "80"], stdout=subprocess.PIPE, text=True
            )
            try:
                assert served.stdout is not None
                served.stdout.readline()
                where = [_address(engine, "bench-p0"), "80"]
                asking = [*inside[1], *program, "ask", *where, "1"]
                if row:
                    where = ["127.0.0.1", str(_PORT)]
                    asking = eng.in_namespace(engine.name, [*program, "ask", *where, "1"])
                return float(eng.run(asking))
            finally:
                served.kill()
                served.wait()

    for number, row in enumerate(rows):
        works = {e.name: lambda e=e, number=number: between(e, number) for e in compared}
        interleaved(row, works, max(3, rounds // 4), 1)
    return rows


def _address(engine: eng.Daemon, container: str) -> str:
    wanted = "{{range .NetworkSettings.Networks}}{{.IPAddress}}{{end}}"
    return eng.run(engine.cli("inspect", "--format", wanted, container)).strip()


def throughput(engines: Engines, _rounds: int, scratch: Path) -> list[Row]:
    """One TCP stream (iperf3): between two containers, and from the host to a published port."""
    if shutil.which("iperf3") is None:
        return []
    archive = scratch / "iperf3.tar"
    fixtures.iperf3(archive)
    compared = daemons(engines)
    for engine in compared:
        eng.run(engine.cli("load", "-q", "-i", str(archive)))
        eng.run(engine.cli("network", "create", _NETWORK))
    publish = ["-p", f"{_PORT}:5201"]
    serve = ["run", "-d", "--name", "bench-server", "--network", _NETWORK, *publish]
    options = ["iperf3", "-J", "-t", "3", "-c"]

    def work(engine: eng.Daemon, *, from_host: bool) -> float:
        eng.run(engine.cli(*serve, "iperf3:bench", "iperf3", "-s"))
        if from_host:
            asking = [*options, "127.0.0.1", "-p", str(_PORT)]
            said = eng.run(eng.in_namespace(engine.name, asking))
        else:
            ask = ["run", "--rm", "--network", _NETWORK, "iperf3:bench"]
            said = eng.run(engine.cli(*ask, *options, _address(engine, "bench-server")))
        eng.run(engine.cli("rm", "-f", "bench-server"))
        return float(json.loads(said)["end"]["sum_received"]["bits_per_second"])

    rows = []
    for title, from_host in (("container to container", False), ("host to published port", True)):
        works = {e.name: lambda e=e, h=from_host: work(e, from_host=h) for e in compared}
        row = Row(f"{title}, TCP", "Gbit/s", 1.0, "more")
        rows.append(interleaved(row, works, 3, 1e-9))
    for engine in compared:
        eng.run(engine.cli("network", "rm", _NETWORK))
    return rows
