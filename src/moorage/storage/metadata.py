"""The one database: SQLite in WAL mode, opened once, shared by all domains.

Each domain owns the tables of its *component* and hands its migrations to ``migrate``. Commits are
microseconds (``synchronous=NORMAL``: a kill -9 loses nothing; a power cut may lose the newest
commits but never consistency), so they run on the event loop itself, and worker threads may use
the database too: one re-entrant lock serialises both.
"""

from __future__ import annotations

import os
import sqlite3
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from moorage.lib.errors import System

Value = str | bytes | int | float | None
_OURS: Final = (sqlite3.IntegrityError, sqlite3.ProgrammingError)  # a wrong statement, no disk


class Database:
    """The daemon's transactional memory on disk.

    The lock guards the connection and is held for the whole of a transaction.
    """

    def __init__(self, path: Path) -> None:
        """Open it, made where there is none. Raises: System (damaged, or it cannot be read)."""
        self._lock = threading.RLock()
        self._depth = 0
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
        path.chmod(0o600)  # it holds the environment of containers; SQLite's other files follow it
        self._connection = sqlite3.connect(path, check_same_thread=False, isolation_level=None)
        self._connection.row_factory = sqlite3.Row
        try:
            self._set_up()
        except sqlite3.DatabaseError as error:
            self._connection.close()
            raise System(
                f"the database {path} cannot be opened: {error}",
                hint="put back a copy of it, or start on another --data-root",
            ) from error

    def _set_up(self) -> None:
        for pragma in ("journal_mode=WAL", "synchronous=NORMAL", "foreign_keys=ON"):
            self._connection.execute(f"PRAGMA {pragma}")
        self._connection.execute("PRAGMA busy_timeout=5000")
        self._connection.execute(
            "CREATE TABLE IF NOT EXISTS schema_version"
            " (component TEXT PRIMARY KEY, version INTEGER NOT NULL)"
        )

    def migrate(self, component: str, steps: Sequence[str]) -> None:
        """Bring the tables of *component* to version ``len(steps)``.

        Each step is one SQL script that is never edited once released; new ones are appended.
        Raises: System, if the store was written by a newer Moorage.
        """
        with self.transaction():
            row = self.one("SELECT version FROM schema_version WHERE component = ?", component)
            version = int(row["version"]) if row else 0
            if version > len(steps):
                raise System(
                    f"the database holds {component} tables of version {version}, newer than"
                    f" this program knows ({len(steps)})",
                    hint="run the newer Moorage that wrote it, or choose another --data-root",
                )
            for step in steps[version:]:
                for statement in filter(None, map(str.strip, step.split(";"))):
                    self.execute(statement)
            self.execute(
                "INSERT INTO schema_version VALUES (?, ?)"
                " ON CONFLICT (component) DO UPDATE SET version = excluded.version",
                component,
                len(steps),
            )

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """All or nothing; nested use joins the outer transaction."""
        with self._lock:
            if self._depth:
                self._depth += 1
                try:
                    yield
                finally:
                    self._depth -= 1
                return
            self.execute("BEGIN IMMEDIATE")
            self._depth = 1
            try:
                yield
                self.execute("COMMIT")
            except BaseException:
                if self._connection.in_transaction:  # a full disk ends it by itself
                    self._connection.execute("ROLLBACK")
                raise
            finally:
                self._depth = 0

    def execute(self, sql: str, *values: Value) -> int:
        """Run one statement; return the number of rows it changed.

        Raises: System (the disk is full, or fails).
        """
        try:
            with self._lock:
                return self._connection.execute(sql, values).rowcount
        except _OURS:
            raise
        except sqlite3.DatabaseError as error:
            raise _failed(error, "written") from error

    def one(self, sql: str, *values: Value) -> sqlite3.Row | None:
        """Return the first row, or None. Raises: System."""
        try:
            with self._lock:
                row: sqlite3.Row | None = self._connection.execute(sql, values).fetchone()
                return row
        except _OURS:
            raise
        except sqlite3.DatabaseError as error:
            raise _failed(error, "read") from error

    def all(self, sql: str, *values: Value) -> list[sqlite3.Row]:
        """Return all rows. Raises: System."""
        try:
            with self._lock:
                return self._connection.execute(sql, values).fetchall()
        except _OURS:
            raise
        except sqlite3.DatabaseError as error:
            raise _failed(error, "read") from error

    def close(self) -> None:
        """Checkpoint and close; safe to call twice."""
        with self._lock:
            self._connection.close()


def _failed(error: sqlite3.Error, verb: str) -> System:
    return System(f"the database of the data-root cannot be {verb}: {error}")
