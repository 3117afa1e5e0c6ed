"""The hot path loads next to nothing. What it loads is tested, not how long that takes."""

from __future__ import annotations

import importlib.util
import py_compile
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


@pytest.mark.parametrize("change", ["nothing", "edited", "other magic", "no byte code"])
def test_the_short_way_to_a_module_runs_what_its_source_says(tmp_path: Path, change: str) -> None:
    package = tmp_path / "moorage" / "inner"
    package.mkdir(parents=True)
    for folder in (package.parent, package):
        (folder / "__init__.py").write_text("")
        py_compile.compile(str(folder / "__init__.py"))
    source = package / "part.py"
    source.write_text("SAYS = 'old'\n")
    cached = Path(importlib.util.cache_from_source(str(source)))
    py_compile.compile(str(source))
    if change == "edited":
        source.write_text("SAYS = 'newer'\n")
    elif change == "other magic":
        cached.write_bytes(b"\0\0\0\0" + cached.read_bytes()[4:])
    elif change == "no byte code":
        cached.unlink()
    program = (
        f"import sys; sys.path[:0] = [{str(SOURCE)!r}]; "
        "from moorage.cli.directimport import DirectFinder, install; "
        f"install({str(tmp_path)!r}); "
        f"[sys.modules.pop(n) for n in list(sys.modules) if n.startswith('moorage')]; "
        f"sys.path[:1] = [{str(tmp_path)!r}]; from moorage.inner import part; "
        "print(part.SAYS, part.__file__, part.__spec__.loader is DirectFinder, "
        "sys.modules['moorage'].__spec__.loader is DirectFinder)"
    )
    done = subprocess.run(
        [sys.executable, "-ISc", program], capture_output=True, text=True, check=True
    )
    says = "newer" if change == "edited" else "old"
    assert done.stdout.split() == [says, str(source), str(change == "nothing"), "True"]


@pytest.mark.parametrize(
    "words",
    [
        ["context", "ls"], ["cp", "x:/a", "/nope"], ["cp", "/etc/hostname", "x:/a"], ["nosuch"],
        ["pull", "example.com:5000/a-b/c_d:1.0"], ["tag", "a", "ghcr.io/b/c-d:v1"],
        ["save", "x"], ["build", "/nope"], ["inspect", "x"], ["info"], ["version"],
    ],
)  # fmt: skip
def test_common_commands_import_little_of_the_standard_library(words: list[str]) -> None:
    """Each of these modules takes a millisecond or more, of the fifteen that a command has."""
    program = (
        f"import sys; sys.path[:0] = [{str(SOURCE)!r}]; from moorage.cli.main import run; "
        f"run({['-H', 'unix:///nope', *words]!r}); print('\\n'.join(sys.modules))"
    )
    done = subprocess.run(
        [sys.executable, "-ISc", program], capture_output=True, text=True, check=True
    )
    heavy = HEAVY | {"_hashlib", "contextlib", "difflib", "hashlib", "tarfile", "_collections_abc"}
    assert not set(done.stdout.split()) & heavy
