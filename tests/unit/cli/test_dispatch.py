"""What a command line is refused with before anything is asked of a daemon."""

from __future__ import annotations

import pytest

from moorage.cli.main import run


@pytest.mark.parametrize(
    ("words", "status", "said"),
    [
        ("container --nope", 125, "unknown flag: --nope\n\nUsage:  moor container COMMAND\n"),
        ("image -Z", 125, "unknown shorthand flag: 'Z' in -Z\n\nUsage:  moor image COMMAND\n"),
        (
            "volume nope",
            1,
            "moor: unknown command: moor volume nope\n\nUsage:  moor volume",
        ),
        ("build", 1, "moor: 'moor build' requires 1 argument\n\nUsage:  moor build [OPTIONS]"),
        ("builder build a b", 1, "moor: 'moor builder build' requires 1 argument\n"),
        ("build --ulimit x .", 125, 'invalid argument "x" for "--ulimit" flag: invalid ulimit'),
    ],
)
def test_a_wrong_command_line_is_refused_in_dockers_words(
    words: str, status: int, said: str, capfd: pytest.CaptureFixture[str]
) -> None:
    assert run(["-H", "unix:///nope", *words.split()]) == status
    shown = capfd.readouterr()
    assert (shown.out, shown.err[: len(said)]) == ("", said)


@pytest.mark.parametrize("words", ["container --help", "image -h"])
def test_a_group_shows_its_page_when_asked(words: str, capfd: pytest.CaptureFixture[str]) -> None:
    assert run(words.split()) == 0
    assert capfd.readouterr().out.startswith("Usage:  moor ")
