"""Completion from the command table, without a daemon."""

from __future__ import annotations

from pathlib import Path

import pytest

from moorage.cli.commands.completion import SCRIPTS
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
