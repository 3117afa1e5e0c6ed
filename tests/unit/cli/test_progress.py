"""Progress as docker draws it."""

from __future__ import annotations

import os
import re

import pytest

from moorage.cli.failure import CommandError
from moorage.cli.output import Output
from moorage.cli.progress import Display, bar

PULL: list[dict[str, object]] = [
    {"status": "Pulling from library/x", "id": "latest"},
    {"status": "Pulling fs layer", "progressDetail": {}, "id": "aaa"},
    {"status": "Pulling fs layer", "progressDetail": {}, "id": "bbb"},
    {"status": "Downloading", "progressDetail": {"current": 50, "total": 100}, "id": "bbb"},
    {"status": "Pull complete", "progressDetail": {}, "id": "aaa"},
    {"status": "Status: Downloaded newer image for x:latest"},
]


def draw(messages: list[dict[str, object]], *, terminal: bool) -> str:
    reader, writer = os.pipe()
    output = Output(writer)
    output.is_terminal = terminal
    try:
        Display(output).run(messages)
    finally:
        os.close(writer)
        with open(reader, "rb") as file:
            drawn = file.read().decode()
    return drawn


def screen(drawn: str) -> list[str]:
    """Play what was drawn on a terminal of one's own."""
    rows, row = [""], 0
    for piece in re.findall(r"\x1b\[\d+[ABK]|\r|\n|[^\x1b\r\n]+", drawn):
        if piece == "\n":
            row += 1
        elif piece.endswith("A") and piece.startswith("\x1b"):
            row -= int(piece[2:-1])
        elif piece.endswith("B") and piece.startswith("\x1b"):
            row += int(piece[2:-1])
        elif piece.endswith("K") and piece.startswith("\x1b"):
            rows[row] = ""
        elif piece != "\r":
            rows[row] = piece
        while row >= len(rows):
            rows.append("")
        assert row >= 0
    return rows


def test_without_a_terminal_only_lines_worth_a_log_are_printed() -> None:
    assert draw(PULL, terminal=False) == (
        "latest: Pulling from library/x\n"
        "aaa: Pulling fs layer\n"
        "bbb: Pulling fs layer\n"
        "aaa: Pull complete\n"
        "Status: Downloaded newer image for x:latest\n"
    )


def test_on_a_terminal_every_layer_keeps_its_line() -> None:
    shown = screen(draw(PULL, terminal=True))
    assert [line for line in shown if line] == [
        "latest: Pulling from library/x",
        "aaa: Pull complete",
        f"bbb: Downloading {bar({'current': 50, 'total': 100}, 111)}",
        "Status: Downloaded newer image for x:latest",
    ]


@pytest.mark.parametrize(
    ("detail", "width", "text"),
    [
        ({}, 200, ""),
        ({"current": 50, "total": 100}, 200, "[" + "=" * 24 + ">" + " " * 25 + "]      50B/100B"),
        ({"current": 100, "total": 100}, 200, "[" + "=" * 50 + "]     100B/100B"),
        ({"current": 50, "total": 100}, 80, "     50B/100B"),
        ({"current": 5}, 200, "      5B"),
        ({"current": 3, "units": "s"}, 200, "3 s"),
    ],
)
def test_bars(detail: dict[str, object], width: int, text: str) -> None:
    assert bar(detail, width) == text


def test_an_error_in_the_stream_ends_it() -> None:
    with pytest.raises(CommandError, match="no space left"):
        draw(
            [{"errorDetail": {"message": "no space left"}, "error": "no space left"}],
            terminal=False,
        )
