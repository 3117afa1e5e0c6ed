"""Cases about images: to and from archives, registries, and the classic builder."""

from __future__ import annotations

import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from bench import engines as eng
from bench import fixtures
from bench.chosen import Engines, begin_anew, daemons, each, load_base
from bench.measure import Row, interleaved, seconds

_LARGE = "large:bench"
_REGISTRY = "127.0.0.1:5000"


def load_save(engines: Engines, rounds: int, scratch: Path) -> list[Row]:
    """``load`` and ``save`` of a 250 MB image of eight gzip layers."""
    archive = scratch / "large.tar"
    fixtures.large(archive)

    def load(engine: eng.Engine) -> float:
        begin_anew(engine)
        return seconds(engine.cli("load", "-q", "-i", str(archive)))

    def save(engine: eng.Engine) -> float:
        target = scratch / f"{engine.name}.tar"
        target.unlink(missing_ok=True)
        return seconds(engine.cli("save", "-o", str(target), _LARGE))

    few = max(3, rounds // 6)
    rows = [
        interleaved(Row("load, 250 MB in 8 layers", "ms", 0.6), each(engines, load), few),
        interleaved(Row("save of the same", "ms", 0.6), each(engines, save), few),
    ]
    load_base(engines, scratch)
    return rows


@contextmanager
def _registry(engine: eng.Engine, root: Path) -> Iterator[None]:
    """Run a registry on *root* inside the engine's network namespace."""
    root.mkdir(exist_ok=True)
    config = root / "config.yml"
    config.write_text(
        "version: 0.1\nlog: {level: error}\n"
        f"storage: {{filesystem: {{rootdirectory: {root}/data}}}}\nhttp: {{addr: {_REGISTRY}}}\n"
    )
    command = eng.in_namespace(engine.name, ["docker-registry", "serve", str(config)])
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    probe = eng.in_namespace(engine.name, ["curl", "-fs", f"http://{_REGISTRY}/v2/"])
    try:
        while subprocess.run(probe, capture_output=True, check=False).returncode:
            if process.poll() is not None:
                raise RuntimeError("docker-registry does not start")
            time.sleep(0.05)
        yield
    finally:
        process.terminate()
        process.wait()


def registry(engines: Engines, rounds: int, scratch: Path) -> list[Row]:
    """``push`` to and ``pull`` from an empty registry beside the daemon: 100 MB in eight layers."""
    archive = scratch / "medium.tar"
    name = f"{_REGISTRY}/medium:bench"
    fixtures.large(archive, megabytes=100, tag=name)
    push = Row("push, 100 MB in 8 layers", "ms", 0.5)
    pull = Row("pull of the same", "ms", 0.5)
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


def build(engines: Engines, rounds: int, scratch: Path) -> list[Row]:
    """A build through the classic API, without and with cache: a context of 20 MB, three commands."""
    place = scratch / "context"
    fixtures.context(place, files=500, megabytes=20)
    (place / "Dockerfile").write_text(
        "FROM busybox:bench\nCOPY . /context\nRUN true one\nRUN echo two >/two\nRUN true three\n"
    )

    def work(engine: eng.Engine, *options: str) -> float:
        command = engine.cli("build", "-q", "-t", "built:bench", *options, str(place))
        return seconds(["env", "DOCKER_BUILDKIT=0", *command])

    compared, few = daemons(engines), max(3, rounds // 4)
    plain, cached = Row("build, nothing cached", "ms", 0.5), Row("build, all cached", "ms", 0.4)
    return [
        interleaved(plain, each(compared, lambda e: work(e, "--no-cache")), few),
        interleaved(cached, each(compared, work), few),
    ]
