"""Align tab-separated cells as Go's text/tabwriter does for the docker CLI."""

from __future__ import annotations

MINIMUM_WIDTH = 10
PADDING = 3


def align(lines: list[str], minimum: int = MINIMUM_WIDTH, padding: int = PADDING) -> str:
    """Return *lines* with their cells in columns.

    A column is a run of neighbouring lines that have a tab after that cell: the last cell of a
    line is never padded, and a line without tabs ends the columns above it.
    """
    rows = [line.split("\t") for line in lines]
    out: list[str] = []
    _columns(rows, [], out, minimum, padding)
    return "".join(out)


def _columns(
    rows: list[list[str]], widths: list[int], out: list[str], minimum: int, padding: int
) -> None:
    """Write *rows*, whose first columns have *widths*; the next column's runs are found here."""
    column, start, at, end = len(widths), 0, 0, len(rows)
    while at < end:
        if column >= len(rows[at]) - 1:
            at += 1
            continue
        _emit(rows[start:at], widths, out)
        start = at
        width = minimum
        while at < end and column < len(rows[at]) - 1:
            width = max(width, len(rows[at][column]) + padding)
            at += 1
        _columns(rows[start:at], [*widths, width], out, minimum, padding)
        start = at
    _emit(rows[start:end], widths, out)


def _emit(rows: list[list[str]], widths: list[int], out: list[str]) -> None:
    known = len(widths)
    for row in rows:
        out.extend(
            cell.ljust(widths[at]) if at < known and at < len(row) - 1 else cell
            for at, cell in enumerate(row)
        )
        out.append("\n")
