"""Leases: what is in use stays, whatever the wall clock does."""

from __future__ import annotations

from pathlib import Path

import pytest

from moorage.lib import clock
from moorage.storage.leases import DEFAULT_LIFETIME_NS, Leases
from moorage.storage.metadata import Database

YEAR_NS = 365 * 86400 * 10**9


@pytest.mark.parametrize("jump_ns", [YEAR_NS, -YEAR_NS])
def test_a_jump_of_the_clock_takes_no_lease_in_use_and_keeps_no_dead_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, jump_ns: int
) -> None:
    former = Leases(Database(tmp_path / "db"))
    former.acquire("pull a").add("sha256:a")
    former.acquire("pull b").add("sha256:b")
    former.acquire("cache", lifetime_ns=None).add("sha256:c")
    leases = Leases(Database(tmp_path / "db"))
    assert leases.held() == {"sha256:a", "sha256:b", "sha256:c"}
    (resumed,) = leases.find("pull a")
    mine = leases.acquire("pull d")
    mine.add("sha256:d")
    real = clock.now_ns
    monkeypatch.setattr(clock, "now_ns", lambda: real() + jump_ns)
    assert leases.held() == {"sha256:a", "sha256:c", "sha256:d"}
    now_s = clock.monotonic()
    monkeypatch.setattr(clock, "monotonic", lambda: now_s + DEFAULT_LIFETIME_NS / 1e9 + 1)
    assert leases.held() == {"sha256:c"}
    resumed.release()
    mine.release()
