"""Cases about registries: each engine has one of its own beside it, in its network namespace."""

from __future__ import annotations

import re
import shutil
import subprocess
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from bench import engines as eng
from bench import fixtures
from bench.chosen import Engines, begin_anew, daemons, each, load_base
from bench.measure import Row, interleaved, seconds

_HOST = "127.0.0.1:5000"
_BLOB = re.compile(r'"GET /v2/[^ ]*/blobs/(sha256:[0-9a-f]{64}) [^"]*" 20[06] ')
_LAYER_MB = 2000


@contextmanager
def _registry(engine: eng.Engine, root: Path) -> Iterator[Path]:
    """Run a registry on *root* inside the engine's network namespace; give its access log."""
    root.mkdir(exist_ok=True)
    config, log = root / "config.yml", root / "log"
    config.write_text(
        "version: 0.1\nlog: {level: error}\n"
        f"storage: {{filesystem: {{rootdirectory: {root}/data}}}}\nhttp: {{addr: {_HOST}}}\n"
    )
    command = eng.in_namespace(engine.name, ["docker-registry", "serve", str(config)])
    with log.open("wb") as output:
        process = subprocess.Popen(command, stdout=output, stderr=subprocess.DEVNULL)
    probe = eng.in_namespace(engine.name, ["curl", "-fs", f"http://{_HOST}/v2/"])
    try:
        while subprocess.run(probe, capture_output=True, check=False).returncode:
            if process.poll() is not None:
                raise RuntimeError("docker-registry does not start")
            time.sleep(0.05)
        yield log
    finally:
        process.terminate()
        process.wait()


def push_and_pull(engines: Engines, rounds: int, scratch: Path) -> list[Row]:
    """``push`` to and ``pull`` from an empty registry: 250 MB in eight layers."""
    archive = scratch / "large-to-push.tar"
    name = f"{_HOST}/large:bench"
    fixtures.large(archive, tag=name)
    push = Row("push, 250 MB in 8 layers", "ms", 0.6)
    pull = Row("pull of the same", "ms", 0.6)
    compared = daemons(engines)
    pulls: dict[str, list[float]] = {engine.name: [] for engine in compared}

    def work(engine: eng.Engine) -> float:
        kept = scratch / "registry"
        begin_anew(engine)
        eng.run(engine.cli("load", "-q", "-i", str(archive)))
        with _registry(engine, kept):
            took = seconds(engine.cli("push", "-q", name))
        begin_anew(engine)  # with a namespace of its own, too
        with _registry(engine, kept):
            pulls[engine.name].append(seconds(engine.cli("pull", "-q", name)))
        shutil.rmtree(kept)
        return took

    interleaved(push, each(compared, work), max(3, rounds // 6))
    pull.set_medians(pulls)
    load_base(compared, scratch)
    return [push, pull]


def mostly_present(engines: Engines, rounds: int, scratch: Path) -> list[Row]:
    """``pull`` of an image of ten layers, nine of which are there."""
    names = {layers: f"{_HOST}/present:{layers}" for layers in (9, 10)}
    archives = {layers: scratch / f"present{layers}.tar" for layers in names}
    for layers, archive in archives.items():
        fixtures.large(archive, megabytes=10 * layers, layers=layers, tag=names[layers])
    compared = daemons(engines)

    def work(engine: eng.Engine) -> float:
        kept = scratch / "registry"
        begin_anew(engine)
        for archive in archives.values():
            eng.run(engine.cli("load", "-q", "-i", str(archive)))
        with _registry(engine, kept):
            for name in names.values():
                eng.run(engine.cli("push", "-q", name))
        begin_anew(engine)
        with _registry(engine, kept) as log:
            eng.run(engine.cli("pull", "-q", names[9]))
            took = seconds(engine.cli("pull", "-q", names[10]))
        fetched = Counter(_BLOB.findall(log.read_text()))
        if len(fetched) != 10 + 2 or max(fetched.values()) > 1:  # layers and two configurations
            raise RuntimeError(f"{engine.name} fetched {fetched}")
        shutil.rmtree(kept)
        return took

    row = Row("pull, 9 of 10 layers are there", "ms", 0.6)
    interleaved(row, each(compared, work), max(3, rounds // 6))
    load_base(compared, scratch)
    return [row]


def large_layer(engines: Engines, _rounds: int, scratch: Path) -> list[Row]:
    """``pull`` of a layer of 2 GB: how long, and what the daemon's memory was at its highest."""
    kept, layout = scratch / "registry", scratch / "layout"
    fixtures.one_layer_layout(layout, megabytes=_LAYER_MB)
    compared = daemons(engines)
    name = f"{_HOST}/layer:bench"
    with _registry(compared[0], kept):
        copy = [
            "skopeo",
            "copy",
            "-q",
            "--dest-tls-verify=false",
            f"oci:{layout}",
            f"docker://{name}",
        ]
        eng.run(eng.in_namespace(compared[0].name, copy))
    shutil.rmtree(layout)
    took = Row("pull, one layer of 2 GB", "ms", 0.6)
    memory = Row("memory at its highest meanwhile", "MiB", None)
    for engine in compared:
        begin_anew(engine)
        for pid in engine.daemon_pids():
            Path(f"/proc/{pid}/clear_refs").write_text("5")  # forget what it was before
        with _registry(engine, kept):
            took.medians[engine.name] = seconds(engine.cli("pull", "-q", name)) * 1000
        memory.medians[engine.name] = sum(map(_highest_kib, engine.daemon_pids())) / 1024
        begin_anew(engine)
    shutil.rmtree(kept)
    load_base(compared, scratch)
    return [took, memory]


def _highest_kib(pid: int) -> int:
    """Return the most that was ever resident of *pid*."""
    status = Path(f"/proc/{pid}/status").read_text()
    return int(status.partition("VmHWM:")[2].split()[0])
