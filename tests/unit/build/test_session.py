"""When what a client has sent is forgotten."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from moorage.build.contextfiles import ContextFiles
from moorage.build.session import IDLE_S, Sessions
from moorage.lib import clock
from moorage.lib.errors import NotFound


def test_an_idle_session_expires_but_none_with_a_build(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 0.0
    monkeypatch.setattr(clock, "monotonic", lambda: now)

    async def story() -> None:
        nonlocal now
        sessions = Sessions()
        idle, busy = await sessions.create(), await sessions.create()
        with busy.building():
            now = IDLE_S + 1
            await sessions.create()
            with pytest.raises(NotFound):
                sessions.get(idle.id)
        assert sessions.get(busy.id) is busy
        now = 3 * IDLE_S
        await sessions.create()
        with pytest.raises(NotFound):
            sessions.get(busy.id)

    asyncio.run(story())


def test_files_stay_while_somebody_uses_them() -> None:
    released: list[str] = []

    async def story() -> None:
        sessions = Sessions()
        session = await sessions.create()
        files = ContextFiles(Path("/nowhere"), "x", release=lambda: released.append("x"))
        session.contexts["context"] = files
        files.use()
        await sessions.end(session.id)
        assert released == []
        files.leave()

    asyncio.run(story())
    assert released == ["x"]
