"""Cases about images: to and from archives, and the classic builder."""

from __future__ import annotations

from pathlib import Path

from bench import engines as eng
from bench import fixtures
from bench.chosen import Engines, begin_anew, daemons, each, load_base
from bench.measure import Row, interleaved, seconds

_LARGE = "large:bench"


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
