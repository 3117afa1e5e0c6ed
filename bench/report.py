"""The table (Markdown) and the plot (SVG) that go into docs/."""

from __future__ import annotations

import os
import platform
from collections.abc import Sequence
from pathlib import Path
from xml.sax.saxutils import escape

from bench.measure import Row

COLOURS = {"moorage": "#0b6e99", "dockerd": "#9aa5b1", "podman": "#b58bb5"}
BAR, GAP, LEFT, WIDTH = 14, 16, 300, 520


def _number(value: float | None, unit: str) -> str:
    if value is None:
        return "-"
    return f"{value:,.0f} {unit}" if value >= 100 else f"{value:.3g} {unit}"


def machine() -> str:
    """Describe this machine in one line, without its name."""
    model = next(
        (line.split(":", 1)[1].strip() for line in Path("/proc/cpuinfo").read_text().splitlines()
         if line.startswith("model name")),
        platform.machine(),
    )  # fmt: skip
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    return f"{os.cpu_count()} cores ({model}), {memory:.0f} GiB, Linux {platform.release()}"


def table(rows: Sequence[Row], engines: Sequence[str]) -> str:
    """Return the rows as a Markdown table with ratios beside dockerd."""
    head = ["case", *engines, "moorage / dockerd", "aim", ""]
    lines = ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    for row in rows:
        ratio = row.ratio()
        cells = [row.case, *(_number(row.medians.get(e), row.unit) for e in engines)]
        cells.append("-" if ratio is None else f"**{ratio:.2f}**")
        cells.append(
            "" if row.target is None else f"{'≤' if row.better == 'less' else '≥'} {row.target:g}"
        )
        cells.append(_verdict(row, ratio))
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)


def _verdict(row: Row, ratio: float | None) -> str:
    if ratio is None or row.target is None:
        return ""
    met = ratio <= row.target if row.better == "less" else ratio >= row.target
    return "met" if met else "missed"


def plot(rows: Sequence[Row], engines: Sequence[str]) -> str:
    """Return an SVG of bars: each engine relative to dockerd (= 1), shorter is better for times."""
    shown = [row for row in rows if row.medians.get("dockerd")]
    height = sum(GAP + BAR * len(engines) for _ in shown) + 60
    parts = [
        (
            f'<svg xmlns="http://www.w3.org/2000/svg" width="{LEFT + WIDTH + 80}" height="{height}" '
            'font-family="sans-serif" font-size="12">'
        ),
        '<rect width="100%" height="100%" fill="white"/>',
    ]
    x = 10
    for engine in engines:
        parts.append(f'<rect x="{x}" y="12" width="12" height="12" fill="{COLOURS[engine]}"/>')
        parts.append(f'<text x="{x + 18}" y="22">{engine}</text>')
        x += 110
    parts.append(f'<text x="{LEFT}" y="22">relative to dockerd = 1 (line)</text>')
    longest = 2.5
    one = LEFT + WIDTH / longest
    y = 40
    for row in shown:
        parts.append(
            f'<text x="10" y="{y + BAR}">{escape(row.case)}{" (more is better)" if row.better == "more" else ""}</text>'
        )
        for engine in engines:
            value = row.medians.get(engine)
            if value is not None:
                ratio = value / row.medians["dockerd"]
                width = min(ratio, longest) / longest * WIDTH
                parts.append(
                    f'<rect x="{LEFT}" y="{y}" width="{width:.1f}" height="{BAR - 2}" fill="{COLOURS[engine]}"/>'
                )
                parts.append(
                    f'<text x="{LEFT + width + 4:.1f}" y="{y + BAR - 4}" font-size="10">{ratio:.2f}</text>'
                )
            y += BAR
        y += GAP
    parts.append(
        f'<line x1="{one}" y1="32" x2="{one}" y2="{y}" stroke="#444" stroke-dasharray="3,3"/></svg>'
    )
    return "\n".join(parts)
