from pathlib import Path

import pytest

from moorage.lib.errors import System
from moorage.storage.metadata import Database

STEPS = ["CREATE TABLE t (id TEXT PRIMARY KEY)"]


def test_a_transaction_is_all_or_nothing(tmp_path: Path) -> None:
    db = Database(tmp_path / "db")
    db.migrate("t", STEPS)

    def half() -> None:
        with db.transaction():
            db.execute("INSERT INTO t VALUES ('a')")
            with db.transaction():
                db.execute("INSERT INTO t VALUES ('b')")
            raise KeyError

    with pytest.raises(KeyError):
        half()
    assert db.all("SELECT * FROM t") == []


def test_migrations_run_once_and_in_order(tmp_path: Path) -> None:
    db = Database(tmp_path / "db")
    db.migrate("t", STEPS)
    db.execute("INSERT INTO t VALUES ('a')")
    db.close()
    again = Database(tmp_path / "db")
    again.migrate("t", [*STEPS, "ALTER TABLE t ADD COLUMN n INTEGER DEFAULT 7"])
    row = again.one("SELECT n FROM t")
    assert row is not None
    assert row["n"] == 7


def test_a_store_of_a_newer_program_is_refused_with_the_way_out(tmp_path: Path) -> None:
    db = Database(tmp_path / "db")
    db.migrate("t", [*STEPS, "CREATE TABLE u (id TEXT)"])
    with pytest.raises(System, match="newer"):
        db.migrate("t", STEPS)
