"""What is remembered of volumes: their records, who refers to them, and for whom they are mounted.

All three are read once at start and served from memory; each change is one transaction.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from typing import Final

import msgspec
from msgspec import Struct

from moorage.storage.metadata import Database

ANONYMOUS_LABEL: Final = "com.docker.volume.anonymous"

_MIGRATIONS: Final = (
    """
    CREATE TABLE volumes (name TEXT PRIMARY KEY, record BLOB NOT NULL);
    CREATE TABLE volume_references (
        volume TEXT NOT NULL, container TEXT NOT NULL, PRIMARY KEY (volume, container)
    );
    CREATE TABLE volume_mounts (
        volume TEXT NOT NULL, user TEXT NOT NULL, PRIMARY KEY (volume, user)
    )
    """,
)


class VolumeRecord(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One volume as saved."""

    name: str
    driver: str
    options: dict[str, str] | None = None
    labels: dict[str, str] | None = None
    created_ns: int = 0
    scope: str = "local"
    mountpoint: str = ""  # as the driver told it last; empty for a plugin that tells only at mount
    renaming_to: str = ""  # a rename had begun
    ready: bool = False  # False: creation or removal had begun and was not finished

    @property
    def anonymous(self) -> bool:
        """Whether nobody gave it a name."""
        return ANONYMOUS_LABEL in (self.labels or {})


class VolumeTable:
    """The records, references and mounts, in memory and in the database."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._records: dict[str, VolumeRecord] = {}
        self._references: defaultdict[str, set[str]] = defaultdict(set)
        self._mounts: defaultdict[str, set[str]] = defaultdict(set)

    def load(self) -> None:
        """Bring the tables up to date and read them."""
        self._database.migrate("volumes", _MIGRATIONS)
        decode = msgspec.json.Decoder(VolumeRecord).decode
        for row in self._database.all("SELECT record FROM volumes"):
            record = decode(row["record"])
            self._records[record.name] = record
        for row in self._database.all("SELECT volume, container FROM volume_references"):
            self._references[row["volume"]].add(row["container"])
        for row in self._database.all("SELECT volume, user FROM volume_mounts"):
            self._mounts[row["volume"]].add(row["user"])

    def all(self) -> list[VolumeRecord]:
        """Return the records by name."""
        return [self._records[name] for name in sorted(self._records)]

    def get(self, name: str) -> VolumeRecord | None:
        """Return one record, or None."""
        return self._records.get(name)

    def save(self, record: VolumeRecord) -> None:
        """Insert or replace *record*."""
        self._database.execute(
            "INSERT INTO volumes VALUES (?, ?)"
            " ON CONFLICT (name) DO UPDATE SET record = excluded.record",
            record.name,
            msgspec.json.encode(record),
        )
        self._records[record.name] = record

    def delete(self, name: str) -> None:
        """Forget a volume with its references and mounts."""
        with self._database.transaction():
            self._database.execute("DELETE FROM volumes WHERE name = ?", name)
            self._database.execute("DELETE FROM volume_references WHERE volume = ?", name)
            self._database.execute("DELETE FROM volume_mounts WHERE volume = ?", name)
        self._records.pop(name, None)
        self._references.pop(name, None)
        self._mounts.pop(name, None)

    def rename(self, old: VolumeRecord, new: VolumeRecord) -> None:
        """Give an unmounted, unreferenced volume another name."""
        with self._database.transaction():
            self.delete(old.name)
            self.save(new)

    def references(self, name: str) -> list[str]:
        """Return the ids of the containers that refer to a volume."""
        return sorted(self._references.get(name, ()))

    def referred_by(self, container_id: str) -> list[str]:
        """Return the volumes that a container refers to."""
        return sorted(name for name, users in self._references.items() if container_id in users)

    def refer(self, name: str, container_id: str) -> None:
        """Note that a container uses a volume; twice is once."""
        self._database.execute(
            "INSERT OR IGNORE INTO volume_references VALUES (?, ?)", name, container_id
        )
        self._references[name].add(container_id)

    def unrefer(self, name: str, container_id: str) -> None:
        """Undo ``refer``; absent is fine."""
        self._database.execute(
            "DELETE FROM volume_references WHERE volume = ? AND container = ?", name, container_id
        )
        self._references[name].discard(container_id)

    def mounts(self, name: str) -> frozenset[str]:
        """Return for whom a volume is mounted."""
        return frozenset(self._mounts.get(name, ()))

    def mounted_by(self, user: str) -> list[str]:
        """Return the volumes that are mounted for *user*."""
        return sorted(name for name, users in self._mounts.items() if user in users)

    def set_mounts(self, name: str, users: Iterable[str]) -> None:
        """Replace the users a volume is mounted for."""
        wanted = set(users)
        with self._database.transaction():
            self._database.execute("DELETE FROM volume_mounts WHERE volume = ?", name)
            for user in wanted:
                self._database.execute("INSERT INTO volume_mounts VALUES (?, ?)", name, user)
        self._mounts[name] = wanted
