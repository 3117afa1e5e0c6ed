"""The cache's records where nothing can be written for a while."""

from __future__ import annotations

from pathlib import Path

from moorage.build.cache import Cache, Record
from moorage.storage.metadata import Database


def opened(database: Database, root: Path) -> Cache:
    cache = Cache(database=database, root=root)
    cache.open()
    return cache


def test_what_a_build_notes_at_its_end_waits_and_hides_nothing(tmp_path: Path) -> None:
    database = Database(tmp_path / "db")
    cache = opened(database, tmp_path)
    cache.add(Record(id="a", keys=("k",), created_ns=1, last_used_ns=1))
    database.execute("PRAGMA query_only = 1")
    assert cache.find(["k"]) is not None
    cache.flush()
    cache.remember_states(["one"])
    database.execute("PRAGMA query_only = 0")

    assert not cache.knows_state("one")
    kept = opened(database, tmp_path).get("a")
    assert kept is not None
    assert kept.usage_count == 0
    cache.flush()
    kept = opened(database, tmp_path).get("a")
    assert kept is not None
    assert kept.usage_count == 1
