"""Leases: what must not be collected although no image or container refers to it (yet).

A pull leases each blob before it looks whether the store has it; the garbage collector takes the
same lock, so nothing vanishes between the look and the use. Leases are saved: blobs of a pull
that a killed daemon left half-done stay until the lease expires, and the pull goes on from there.
What this daemon has leased expires by the monotonic clock: the wall clock may be set under a pull.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable
from types import TracebackType
from typing import Final, Self

from msgspec import Struct

from moorage.lib import clock, ids
from moorage.storage.metadata import Database

DEFAULT_LIFETIME_NS: Final = 24 * 3600 * 1_000_000_000

_MIGRATIONS: Final = (
    """
    CREATE TABLE leases (id TEXT PRIMARY KEY, name TEXT NOT NULL, expires_ns INTEGER NOT NULL)
        WITHOUT ROWID;
    CREATE TABLE lease_resources (
        lease TEXT NOT NULL REFERENCES leases (id) ON DELETE CASCADE,
        digest TEXT NOT NULL, PRIMARY KEY (lease, digest)) WITHOUT ROWID
    """,
)


class Leases:
    """All leases. ``lock`` is taken to add to a lease and by the collector while it deletes."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self.lock = threading.RLock()
        self._ours: dict[str, float] = {}  # leases in use here -> monotonic end; under the lock
        database.migrate("leases", _MIGRATIONS)

    def acquire(self, name: str, *, lifetime_ns: int | None = DEFAULT_LIFETIME_NS) -> Lease:
        """Begin a lease; *lifetime_ns* None lasts until it is released (build cache)."""
        identifier = ids.token()
        expires = 0 if lifetime_ns is None else clock.now_ns() + lifetime_ns
        with self.lock:
            self._database.execute("INSERT INTO leases VALUES (?, ?, ?)", identifier, name, expires)
            if lifetime_ns is not None:
                self._ours[identifier] = clock.monotonic() + lifetime_ns / 1e9
        return Lease(self, identifier, name)

    def find(self, name: str) -> list[Lease]:
        """Return the leases called *name* for one who takes them up again, from now on ours."""
        with self.lock:
            rows = self._database.all("SELECT id FROM leases WHERE name = ?", name)
            until = clock.monotonic() + DEFAULT_LIFETIME_NS / 1e9
            self._ours |= {str(row["id"]): until for row in rows}
        return [Lease(self, str(row["id"]), name) for row in rows]

    def release_cut_off(self, *, resumed: str) -> None:
        """Release those that an earlier daemon meant to release itself.

        *resumed*: the beginning of the names of those that somebody may take up again.
        """
        with self.lock:
            for row in self._database.all("SELECT id, name FROM leases WHERE expires_ns != 0"):
                if row["id"] not in self._ours and not str(row["name"]).startswith(resumed):
                    self._release(str(row["id"]))

    def held(self) -> set[str]:
        """Return every digest (blob or ChainID) under a lease that has not expired."""
        with self.lock:
            for expired in self._expired():
                self._release(expired)
            rows = self._database.all("SELECT DISTINCT digest FROM lease_resources")
        return {str(row["digest"]) for row in rows}

    def _expired(self) -> list[str]:
        """Those that are over, and those of a clock set back: they end later than any made now."""
        now_s, now_ns = clock.monotonic(), clock.now_ns()
        rows = self._database.all(
            "SELECT id FROM leases WHERE expires_ns != 0 AND NOT expires_ns BETWEEN ? AND ?",
            now_ns,
            now_ns + DEFAULT_LIFETIME_NS,
        )
        over = {str(row["id"]) for row in rows} - set(self._ours)
        return [*over, *(lease for lease, until in self._ours.items() if until < now_s)]

    def _add(self, identifier: str, digest: str) -> None:
        with self.lock:
            self._database.execute(
                "INSERT OR IGNORE INTO lease_resources VALUES (?, ?)", identifier, digest
            )

    def _add_all(self, identifier: str, digests: Iterable[str]) -> None:
        with self.lock, self._database.transaction():
            for digest in digests:
                self._add(identifier, digest)

    def _drop(self, identifier: str, digest: str) -> None:
        with self.lock:
            self._database.execute(
                "DELETE FROM lease_resources WHERE lease = ? AND digest = ?", identifier, digest
            )

    def _release(self, identifier: str) -> None:
        with self.lock:
            self._ours.pop(identifier, None)
            self._database.execute("DELETE FROM leases WHERE id = ?", identifier)


class Lease(Struct, frozen=True):
    """One lease; a context manager that releases it, also after an error."""

    _leases: Leases
    id: str
    name: str

    def add(self, digest: str) -> None:
        """Keep the blob or layer chain *digest*: first add, then look whether it is there."""
        self._leases._add(self.id, digest)  # noqa: SLF001

    def add_all(self, digests: Iterable[str]) -> None:
        """Keep many at once; they are read while nothing is collected."""
        self._leases._add_all(self.id, digests)  # noqa: SLF001

    def drop(self, digest: str) -> None:
        """Keep *digest* no longer."""
        self._leases._drop(self.id, digest)  # noqa: SLF001

    def release(self) -> None:
        """End the lease; safe to call twice."""
        self._leases._release(self.id)  # noqa: SLF001

    def __enter__(self) -> Self:
        """Hold the lease for a block."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        tb: TracebackType | None,
    ) -> None:
        """Release it."""
        self.release()
