"""Timing: whole commands, engines interleaved, medians."""

from __future__ import annotations

import statistics
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field


@dataclass
class Row:
    """One case: the median of each engine, in one unit."""

    case: str
    unit: str  # "ms", "s", "KiB", "req/s"
    target: float | None  # ratio beside *peer* that the project aims at
    better: str = "less"
    peer: str = "dockerd"
    medians: dict[str, float] = field(default_factory=dict)

    def set_medians(self, samples: Mapping[str, Sequence[float]], scale: float = 1000.0) -> None:
        """Take the medians of what was measured; the first of each was for practice."""
        self.medians = {
            name: statistics.median(values[1:]) * scale for name, values in samples.items()
        }

    def ratio(self) -> float | None:
        """Return ours divided by the peer's."""
        if "moorage" in self.medians and self.medians.get(self.peer):
            return self.medians["moorage"] / self.medians[self.peer]
        return None


def seconds(command: Sequence[str], stdin: bytes | None = None) -> float:
    """Return how long *command* took.

    Raises: RuntimeError, with its output, if it failed: a failure must not look fast.
    """
    began = time.perf_counter()
    done = subprocess.run(command, input=stdin, capture_output=True, check=False)
    took = time.perf_counter() - began
    if done.returncode:
        raise RuntimeError(f"{' '.join(command)}: {done.stderr.decode(errors='replace')[-800:]}")
    return took


def interleaved(
    row: Row, works: Mapping[str, Callable[[], float]], rounds: int, scale: float = 1000.0
) -> Row:
    """Call each engine's work in turn, *rounds* times; one unmeasured round goes first."""
    samples: dict[str, list[float]] = {name: [] for name in works}
    for _ in range(rounds + 1):
        for name, work in works.items():
            samples[name].append(work())
    row.set_medians(samples, scale)
    return row
