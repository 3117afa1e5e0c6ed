"""The hot path loads next to nothing. What it loads is tested, not how long that takes."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

import moorage

SOURCE = Path(moorage.__file__).parent.parent
HEAVY = {
    "argparse", "asyncio", "collections", "dataclasses", "enum", "functools", "http", "inspect",
    "json", "msgspec", "os", "re", "select.poll", "signal", "socket", "ssl", "subprocess",
    "threading", "typing", "urllib", "moorage.spec", "moorage.cli.template.parser",
}  # fmt: skip


@pytest.mark.parametrize(
    ("words", "loaded"),
    [
        (["--version"], "moorage.cli.main"),
        (["ps"], "moorage.cli.commands.container.ls"),
        (["logs", "x"], "moorage.cli.commands.container.logs"),
        (["exec", "x", "true"], "moorage.cli.commands.container.exec"),
        (["run", "--rm", "-p", "80:80", "x", "true"], "moorage.cli.commands.container.run"),
    ],
)
def test_the_hot_path_imports_nothing_heavy(words: list[str], loaded: str) -> None:
    program = (
        f"import sys; sys.path[:0] = [{str(SOURCE)!r}]; from moorage.cli.main import run; "
        f"run({['-H', 'unix:///nope', *words] if words != ['--version'] else words!r}); "
        "print('\\n'.join(sys.modules))"
    )
    done = subprocess.run(
        [sys.executable, "-ISc", program], capture_output=True, text=True, check=True
    )
    modules = set(done.stdout.split())
    assert loaded in modules
    assert not modules & HEAVY


def test_a_full_disk_behind_standard_output_is_said_in_words() -> None:
    program = (
        f"import sys; sys.path[:0] = [{str(SOURCE)!r}]; from moorage.cli.main import main; main()"
    )
    with open("/dev/full", "wb") as full:
        done = subprocess.run(
            [sys.executable, "-ISc", program, "--version"],
            stdout=full, stderr=subprocess.PIPE, check=False,
        )  # fmt: skip
    assert (done.returncode, done.stderr) == (1, b"write /dev/stdout: no space left on device\n")
