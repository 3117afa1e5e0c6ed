"""The kernel is made ready by entering the group that we are in, and never another."""

from __future__ import annotations

import asyncio
import fcntl
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from moorage.runtime import haste
from moorage.runtime.haste import Haste


@pytest.fixture
def groups(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A file that says in which group we are: its content is the name of another file."""
    own = tmp_path / "own"
    own.write_text("a")
    monkeypatch.setattr(haste, "_OWN_GROUPS", own)
    monkeypatch.setattr(
        haste,
        "open_members",
        lambda: os.open(tmp_path / own.read_text(), os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600),
    )
    return own


@pytest.fixture
def slow(monkeypatch: pytest.MonkeyPatch) -> Iterator[int]:
    """A group that cannot be entered until somebody reads the descriptor to its end."""
    reader, writer = os.pipe2(os.O_CLOEXEC)
    os.write(writer, b"." * fcntl.fcntl(writer, fcntl.F_GETPIPE_SZ))
    monkeypatch.setattr(haste, "open_members", lambda: writer)
    yield reader
    os.close(reader)


def move(groups: Path, name: str | None) -> None:
    """Put us into another group, or where there are none."""
    if name is None:
        groups.unlink()
    else:
        groups.write_text(name)


def entered(groups: Path) -> dict[str, str]:
    """Return what was written to each group."""
    return {file.name: file.read_text() for file in groups.parent.iterdir() if file != groups}


async def test_the_group_that_we_are_in_is_entered(groups: Path) -> None:
    ready = Haste()
    ready.begin()
    await ready.close()
    assert entered(groups) == {"a": "0"}


async def test_we_stay_where_an_operator_has_moved_us(groups: Path) -> None:
    ready = Haste()
    await hurry_into(ready, groups, "a")
    move(groups, "b")
    await hurry_into(ready, groups, "b")
    before = entered(groups)
    ready.begin()
    await ready.close()
    assert entered(groups)["a"] == before["a"]


async def hurry_into(ready: Haste, groups: Path, name: str) -> None:
    """Hurry until this group has been entered: while one is under way there is no other."""
    while not entered(groups).get(name):
        ready.begin()
        await asyncio.sleep(0)


async def test_without_groups_nothing_is_done(groups: Path) -> None:
    move(groups, None)
    ready = Haste()
    ready.begin()
    await ready.close()
    assert entered(groups) == {}


async def test_one_waits_for_the_kernel_however_many_hurry(slow: int) -> None:
    ready = Haste()
    for _ in range(3):
        ready.begin()
    os.read(slow, 65536)
    await ready.close()
    assert rest(slow).count(b"0") == 1


def rest(reader: int) -> bytes:
    """Read what is in a pipe whose writer has been closed."""
    return b"".join(iter(lambda: os.read(reader, 65536), b""))
