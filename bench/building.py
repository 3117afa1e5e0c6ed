"""Cases about builds: ours beside both of dockerd's builders.

The classic builder is driven by the official CLI on both sides, BuildKit by the CLI that came with
Debian's dockerd, which speaks to it without a plugin; beside BuildKit ours is `moor build`.
"""

from __future__ import annotations

import functools
import itertools
import os
import shlex
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path

from bench import engines as eng
from bench import fixtures
from bench.chosen import Engines, daemons, load_base
from bench.measure import Row, interleaved, seconds

_DEBIAN_CLI = "/usr/bin/docker"
_LOOP = "i=0; while [ $i -lt 400000 ]; do i=$((i+1)); done"
_STAGE = _LOOP + "; echo {name} > /done"
_BUILDERS = ("the classic builder", "BuildKit")


def _classic(engine: eng.Daemon, *arguments: str) -> list[str]:
    return ["env", "DOCKER_BUILDKIT=0", *engine.cli("build", "-q", *arguments)]


def _modern(engine: eng.Daemon, *arguments: str) -> list[str]:
    """`moor build` of ours, BuildKit of theirs."""
    host = f"unix://{engine.socket}"
    if isinstance(engine, eng.Moorage):
        return [str(eng.TREE / ".venv/bin/moor"), "-H", host, "build", "-q", *arguments]
    return ["env", "DOCKER_BUILDKIT=1", _DEBIAN_CLI, "-H", host, "build", "-q", *arguments]


def _compare(
    case: str,
    target: float,
    engines: Engines,
    rounds: int,
    place: Path,
    *options: str,
    before: Callable[[], None] = lambda: None,
    always_moor: bool = False,
) -> list[Row]:
    """Build *place* with each, in turn; *before* each build. One row for each of their builders."""
    rows = []
    for builder, line in zip(_BUILDERS, (_classic, _modern), strict=True):

        def work(engine: eng.Daemon, line: Callable[..., list[str]] = line) -> float:
            ours = always_moor and isinstance(engine, eng.Moorage)
            before()
            chosen = _modern if ours else line
            return seconds(chosen(engine, "-t", "built:bench", *options, str(place)))

        works = {e.name: functools.partial(work, e) for e in daemons(engines)}
        rows.append(interleaved(Row(f"{case}, beside {builder}", "ms", target), works, rounds))
    return rows


def _project(scratch: Path, name: str, lines: Sequence[str]) -> Path:
    place = scratch / name
    place.mkdir()
    (place / "Dockerfile").write_text("\n".join(lines) + "\n")
    return place


def steps(engines: Engines, rounds: int, scratch: Path) -> list[Row]:
    """Twenty small RUN steps: nothing cached, and all."""
    lines = ["FROM busybox:bench", *(f"RUN echo {n} > /file{n}" for n in range(20))]
    place = _project(scratch, "steps", lines)
    few = max(3, rounds // 4)
    return [
        *_compare("build of 20 RUN steps", 0.5, engines, few, place, "--no-cache"),
        *_compare("build of 20 cached steps", 0.4, engines, rounds, place),
    ]


def stages(engines: Engines, rounds: int, scratch: Path) -> list[Row]:
    """Four independent stages of equal length, and how near that is to what the cores give.

    The same loops run as bare processes, one per core at a time, show what this machine gives
    at the moment: its cores may be shared with others.
    """
    names = "abcd"
    lines = []  # no two alike, or they would be done once
    for name in names:
        lines += [f"FROM busybox:bench AS {name}", "RUN " + _STAGE.format(name=name)]
    lines += ["FROM scratch", *(f"COPY --from={name} /done /{name}" for name in names)]
    place = _project(scratch, "stages", lines)
    few = max(3, rounds // 6)
    rows = _compare("four independent stages", 1, engines, few, place, "--no-cache")
    ours = next(e for e in daemons(engines) if isinstance(e, eng.Moorage))
    line = _modern(ours, "--no-cache", "-t", "built:bench", str(place))
    works = {"moorage": lambda: seconds(line), "bare": lambda: seconds(_bare(len(names)))}
    case = "four independent stages, beside their loops without a builder"
    row = interleaved(Row(case, "ms", 1.25, peer="bare"), works, few)
    sleeping = [text.replace(_LOOP, "sleep 1") for text in lines]
    asleep = _project(scratch, "asleep", sleeping)
    return [
        *rows,
        row,
        *_compare("four stages that sleep 1 s", 1, engines, few, asleep, "--no-cache"),
    ]


def _bare(count: int) -> list[str]:
    """Return the command line that runs *count* loops, one per core at a time."""
    each = shlex.quote(f"busybox sh -c {shlex.quote(_LOOP)}")
    return ["sh", "-c", f"seq {count} | xargs -P {os.cpu_count() or 1} -I_ sh -c {each}"]


def changed_file(engines: Engines, rounds: int, scratch: Path) -> list[Row]:
    """A context of 20,000 files (200 MB), one of them new in each build; ours by `moor build`."""
    place = _project(scratch, "many", ["FROM busybox:bench", "COPY . /context"])
    fixtures.context(place, files=20_000, megabytes=200)
    numbers = itertools.count()

    def change() -> None:
        (place / "d3" / "f3").write_text(f"version {next(numbers)}\n")

    few = max(3, rounds // 6)
    case = "build, 20,000 files, one changed"
    rows = _compare(case, 0.5, engines, few, place, before=change, always_moor=True)
    _forget(engines, place)
    return rows


def large_copy(engines: Engines, rounds: int, scratch: Path) -> list[Row]:
    """COPY of one file of 500 MB; ours by `moor build`."""
    place = _project(scratch, "blob", ["FROM busybox:bench", "COPY blob /blob"])
    with (place / "blob").open("wb") as blob:
        for _ in range(500):
            blob.write(os.urandom(1_000_000))
    few = max(3, rounds // 6)
    case = "build, COPY of 500 MB"
    rows = _compare(case, 0.6, engines, few, place, "--no-cache", always_moor=True)
    _forget(engines, place)
    return rows


def _forget(engines: Engines, place: Path) -> None:
    """Free what a large case has used."""
    shutil.rmtree(place)
    for engine in daemons(engines):
        eng.run(engine.cli("rmi", "-f", "built:bench"))
        eng.run(engine.cli("image", "prune", "-f"))
        eng.run(engine.cli("builder", "prune", "-af"))
    load_base(engines, place.parent)
