"""Moorage beside dockerd and podman, in one run.

usage: ./dev bench [--rounds N] [--engines moorage,dockerd,podman] [--write] [CASE...]

Prints the table; with --write it goes, with a plot, into docs/.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

from bench import cases, chosen, fixtures, report
from bench import engines as eng

CHOICES: dict[str, Callable[[Path], eng.Engine]] = {
    "moorage": eng.Moorage,
    "dockerd": eng.Dockerd,
    "podman": eng.Podman,
}


def main() -> None:
    """Run the chosen cases on the chosen engines."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--engines", default="moorage,dockerd,podman")
    parser.add_argument("--write", action="store_true")
    parser.add_argument("cases", nargs="*", metavar="CASE", help=", ".join(cases.CASES))
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="moorage-bench-", dir="/var/tmp") as scratch:
        root = Path(scratch)
        engines = [CHOICES[name](root) for name in asked.engines.split(",")]
        rows = []
        try:
            archive = root / chosen.ARCHIVE
            fixtures.busybox(archive)
            for engine in engines:
                engine.start()
                eng.run(engine.cli("load", "-i", str(archive)))
            versions = ", ".join(engine.version() for engine in engines)
            for name in asked.cases or cases.CASES:
                for row in cases.CASES[name](engines, asked.rounds, root):
                    rows.append(row)
                    sys.stderr.write(f"{row.case}: {row.medians}\n")
        finally:
            for engine in engines:
                engine.stop()
    names = [engine.name for engine in engines]
    text = (
        "# Moorage beside dockerd and podman\n\n"
        f"`./dev bench --write --rounds {asked.rounds}` on {report.machine()}; {versions}.\n"
        "Medians of interleaved runs through the same official CLI. Compare only ratios.\n\n"
        f"{report.table(rows, names)}\n\n![ratios](bench.svg)\n"
    )
    sys.stdout.write(text)
    if asked.write:
        docs = eng.TREE / "docs"
        (docs / "bench.md").write_text(text)
        (docs / "bench.svg").write_text(report.plot(rows, names))


if __name__ == "__main__":
    main()
