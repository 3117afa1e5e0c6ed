import sqlite3
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


def test_a_full_disk_is_said_and_got_over(tmp_path: Path) -> None:
    db = Database(tmp_path / "db")
    db.migrate("t", STEPS)
    row = db.one("PRAGMA page_count")
    assert row is not None
    db.execute(f"PRAGMA max_page_count={row[0]}")

    def fill() -> None:
        with db.transaction():
            db.execute("INSERT INTO t VALUES ('a')")
            db.execute("INSERT INTO t VALUES (?)", "x" * 100_000)

    for _ in range(2):
        with pytest.raises(System, match="cannot be written: database or disk is full"):
            fill()
    assert db.all("SELECT * FROM t") == []
    db.execute("PRAGMA max_page_count=1000000")
    fill()
    assert len(db.all("SELECT * FROM t")) == 2


def test_a_commit_that_fails_leaves_no_transaction_open(tmp_path: Path) -> None:
    db = Database(tmp_path / "db")
    db.migrate("t", [*STEPS, "CREATE TABLE u (t REFERENCES t DEFERRABLE INITIALLY DEFERRED)"])

    def refused() -> None:
        with db.transaction():
            db.execute("INSERT INTO u VALUES ('absent')")

    for _ in range(2):
        with pytest.raises(sqlite3.IntegrityError):
            refused()
    with db.transaction():
        db.execute("INSERT INTO t VALUES ('a')")
    assert db.all("SELECT * FROM u") == []


def test_a_damaged_store_is_said_with_the_way_out(tmp_path: Path) -> None:
    (tmp_path / "db").write_bytes(b"no database at all" * 999)
    with pytest.raises(System, match="db cannot be opened: file is not a database") as refused:
        Database(tmp_path / "db")
    assert "--data-root" in (refused.value.hint or "")


def test_damage_that_is_met_later_is_said_as_well(tmp_path: Path) -> None:
    db = Database(tmp_path / "db")
    db.migrate("t", STEPS)
    with db.transaction():
        for number in range(2000):
            db.execute("INSERT INTO t VALUES (?)", f"{number:0500}")
    db.close()
    with (tmp_path / "db").open("r+b") as file:
        file.seek(100_000)
        file.write(b"x" * 100_000)
    again = Database(tmp_path / "db")
    with pytest.raises(System, match="cannot be read: database disk image is malformed"):
        again.all("SELECT * FROM t")
