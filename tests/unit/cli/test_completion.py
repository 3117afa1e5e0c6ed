"""Completion from the command table, without a daemon."""

from __future__ import annotations

import shlex
import subprocess
from pathlib import Path

import pytest

from moorage.cli.commands.completion import BASH, SCRIPTS
from moorage.cli.completion import FILES, NOTHING, complete
from moorage.cli.globaloptions import GLOBAL_OPTIONS
from moorage.cli.options import Values
from moorage.cli.session import Session


@pytest.fixture
def session(tmp_path: Path) -> Session:
    return Session(
        Values(GLOBAL_OPTIONS), {"MOOR_HOST": f"unix://{tmp_path}/none", "HOME": str(tmp_path)}
    )


@pytest.mark.parametrize(
    ("before", "current", "offered"),
    [
        ([], "", {"ps", "run", "container", "login"}),
        ([], "--", {"--host", "--context"}),
        (["container"], "", {"ls", "list", "prune"}),
        (["ps"], "--", {"--all", "--filter", "--help"}),
        (["ps", "--filter"], "", {"status=", "name="}),
        (["ps", "-f"], "status=", {"status=running", "status=exited"}),
        (["run", "--pull"], "", {"always", "missing", "never"}),
        (["run", "--cap-add"], "", {"NET_ADMIN", "ALL"}),
        (["kill", "-s"], "", {"TERM", "HUP"}),
        (["--log-level"], "", {"debug", "info"}),
        (["-H", "unix:///x", "network"], "", {"create", "connect"}),
        (["context", "use"], "", {"default"}),
        (["inspect", "--type"], "", {"container", "volume"}),
    ],
)
def test_offers(session: Session, before: list[str], current: str, offered: set[str]) -> None:
    candidates, files = complete(session, before, current)
    assert offered <= set(candidates)
    assert files == NOTHING


@pytest.mark.parametrize("before", [["load", "-i"], ["run", "--env-file"], ["cp"], ["import"]])
def test_files_where_files_are_meant(session: Session, before: list[str]) -> None:
    assert complete(session, before, "")[1] == FILES


@pytest.mark.parametrize(
    "before", [["run", "image"], ["nope"], ["rename", "a", "b"], ["stop"], ["network", "nope"]]
)
def test_nothing_where_nothing_is_known(session: Session, before: list[str]) -> None:
    assert complete(session, before, "") == ({}, NOTHING)


@pytest.mark.parametrize("shell", sorted(SCRIPTS))
def test_a_script_asks_the_program(shell: str) -> None:
    assert "moor __complete --" in SCRIPTS[shell]


@pytest.mark.skipif(not Path("/bin/bash").exists(), reason="needs bash")
@pytest.mark.parametrize(
    ("line", "answer", "expected"),
    [
        ("moor stop we", ["web\tbusybox, Up", "web3"], ["web", "web3"]),
        ("moor run busybox:", ["busybox:2\tx", ":nofiles"], ["2"]),
        ("moor run busy", ["busybox:2"], ["busybox:2"]),
        ("moor run h:5000/busybox:1", ["h:5000/busybox:1.2"], ["1.2"]),
        ("moor ps --filter status=", ["status=created", "status=dead"], ["created", "dead"]),
        ("moor ps --filter=status=cr", ["--filter=status=created"], ["created"]),
        ("moor ps ", ["--all"], ["--all"]),
    ],
)
@pytest.mark.parametrize("breaks", [" \t\n=:", " \t\n"])
def test_bash_replaces_what_follows_its_own_word_breaks(
    line: str, answer: list[str], expected: list[str], breaks: str
) -> None:
    if breaks == " \t\n":
        expected = [text.partition("\t")[0] for text in answer if text[0] != ":"]
    lines = "".join(f"printf '%s\\n' {shlex.quote(text)}; " for text in answer)
    program = (
        f"compopt() {{ :; }}; moor() {{ {lines} }}; {BASH}\n"
        f"COMP_WORDBREAKS={shlex.quote(breaks)} COMP_LINE={shlex.quote(line)} "
        f"COMP_POINT={len(line)}\n_moor; printf '%s\\n' \"${{COMPREPLY[@]}}\""
    )
    done = subprocess.run(
        ["/bin/bash", "--norc", "-c", program], capture_output=True, text=True, check=True
    )
    assert (done.stdout.split(), done.stderr) == (expected, "")
