"""Docker's CLI plugins: found where the docker CLI finds them, run in our place, or refused."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

MOOR = Path(sys.executable).parent / "moor"
SCRIPT = """\
#!/bin/sh
case "$1" in
docker-cli-plugin-metadata)
    echo '{"SchemaVersion":"0.1.0","Vendor":"Me","Version":"v1","ShortDescription":"Says hi"}' ;;
__complete) printf 'up\\tStart\\n:4\\n' ;;
*) echo "$* at $DOCKER_HOST by $DOCKER_CLI_PLUGIN_ORIGINAL_CLI_COMMAND"; exit 7 ;;
esac
"""


@pytest.fixture
def plugin(tmp_path: Path) -> Path:
    file = tmp_path / ".docker" / "cli-plugins" / "docker-hi"
    file.parent.mkdir(parents=True, mode=0o755)
    file.write_text(SCRIPT)
    file.chmod(0o755)
    return file


def moor(plugin: Path, *words: str) -> subprocess.CompletedProcess[str]:
    home = plugin.parent.parent.parent
    environment = {"HOME": str(home), "PATH": os.environ["PATH"]}
    return subprocess.run(
        [MOOR, *words], env=environment, capture_output=True, text=True, check=False
    )


def test_a_plugin_takes_the_whole_line_and_our_place(plugin: Path) -> None:
    done = moor(plugin, "-H", "tcp://10.0.0.1:1", "hi", "up", "--flag", "-v")
    assert done.stdout == f"-H tcp://10.0.0.1:1 hi up --flag -v at  by {MOOR}\n"
    assert (done.returncode, done.stderr) == (7, "")


def test_a_plugin_is_told_our_default_daemon(plugin: Path) -> None:
    assert " at unix:///" in moor(plugin, "hi").stdout


def test_help_and_completion_know_plugins(plugin: Path) -> None:
    assert "\n  hi*         Says hi\n" in moor(plugin, "--help").stdout
    assert moor(plugin, "__complete", "h").stdout.startswith("hi\tSays hi\n")
    assert moor(plugin, "__complete", "hi", "").stdout == "up\tStart\n:nothing\n"
    assert moor(plugin, "help", "hi").stdout.startswith("hi --help at ")


def test_our_own_commands_come_first(plugin: Path) -> None:
    plugin.rename(plugin.parent / "docker-context")
    assert moor(plugin, "context", "show").stdout == "default\n"


def test_directories_of_the_configuration_are_searched(plugin: Path, tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    plugin.parent.rename(elsewhere)
    (tmp_path / ".docker" / "config.json").write_text(f'{{"cliPluginsExtraDirs": ["{elsewhere}"]}}')
    assert moor(plugin, "hi", "there").stdout.startswith("hi there at ")


@pytest.mark.parametrize("what", ["file", "directory"])
def test_a4_what_others_can_write_is_not_run(plugin: Path, what: str) -> None:
    changed = plugin if what == "file" else plugin.parent
    changed.chmod(0o775)
    done = moor(plugin, "hi")
    assert (done.returncode, done.stdout) == (1, "")
    assert f"others can write {changed} (chmod go-w {changed})" in done.stderr
    assert "hi*" not in moor(plugin, "--help").stdout


@pytest.mark.requires("root")
def test_a4_what_somebody_else_owns_is_not_run(plugin: Path) -> None:
    os.chown(plugin, 12345, 12345)
    done = moor(plugin, "hi")
    assert (done.returncode, done.stdout) == (1, "")
    assert "belongs to user 12345" in done.stderr


def test_what_does_not_describe_itself_is_not_listed(plugin: Path) -> None:
    plugin.write_text('#!/bin/sh\necho \'{"SchemaVersion":"0.1.0"}\'\n')
    assert "hi*" not in moor(plugin, "--help").stdout


def test_an_unknown_command_stays_unknown(plugin: Path) -> None:
    done = moor(plugin, "hix")
    assert done.returncode == 1
    assert done.stderr.startswith("moor: unknown command: moor hix")
