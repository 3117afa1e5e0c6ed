"""The engines that run, and what all cases share."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from pathlib import Path

from bench import engines as eng

IMAGE = "busybox:bench"
ARCHIVE = "busybox.tar"  # of that image, in the scratch directory
Engines = Sequence[eng.Engine]


def each(engines: Engines, work: Callable[[eng.Engine], float]) -> dict[str, Callable[[], float]]:
    """Return *work* for each engine, by name."""
    return {engine.name: functools.partial(work, engine) for engine in engines}


def daemons(engines: Engines) -> list[eng.Daemon]:
    """Return those that are daemons."""
    return [engine for engine in engines if isinstance(engine, eng.Daemon)]


def begin_anew(engine: eng.Engine) -> None:
    """Give the engine empty roots, so that nothing is stored already and no blob is half-freed.

    ext4 reuses what has just been deleted at its own pace: a reload after a removal would measure
    the file system.
    """
    engine.stop()
    engine.start()


def load_base(engines: Engines, scratch: Path) -> None:
    """Load the image of most cases."""
    for engine in engines:
        eng.run(engine.cli("load", "-i", str(scratch / ARCHIVE)))
