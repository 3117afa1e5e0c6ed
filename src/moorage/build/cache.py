"""The build cache: which layer a step gave before, found again by what the step was made of.

A record says "these keys gave this layer". Keys are digests over an operation and the content it
works on (``keys``), so they hold on every machine. Records live in the database and, for reading,
in memory; the layer of a record is kept (``chains``) until the record is pruned. Cache
mounts and downloaded sources are records too: directories under ``root``::

    build/mounts/<id>/     what RUN --mount=type=cache keeps
    build/sources/<id>/    checkouts and downloads
"""

from __future__ import annotations

import logging
import secrets
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Final

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from moorage.lib import atomicfile, clock
from moorage.lib.errors import System
from moorage.lib.failpoint import failpoint
from moorage.spec.digest import Digest
from moorage.storage.metadata import Database

log = logging.getLogger(__name__)

REGULAR: Final = "regular"
CACHE_MOUNT: Final = "exec.cachemount"
SOURCE_LOCAL: Final = "source.local"
SOURCE_GIT: Final = "source.git.checkout"
SOURCE_HTTP: Final = "source.http"

_MIGRATIONS: Final = (
    """CREATE TABLE build_cache (id TEXT PRIMARY KEY, record BLOB NOT NULL) STRICT""",
    """CREATE TABLE build_states (state TEXT PRIMARY KEY) STRICT""",
)
_MOST_STATES: Final = 10_000  # the oldest go first


class Record(Struct, frozen=True, kw_only=True):
    """One thing the cache keeps."""

    id: str
    kind: str = REGULAR
    keys: tuple[str, ...] = ()
    description: str = ""
    chain_id: Digest | None = None
    diff_id: Digest | None = None  # None for a layer: the step changed nothing
    parent_chain: Digest | None = None
    path: str = ""  # relative to the cache's root
    size: int = 0
    created_ns: int
    last_used_ns: int
    usage_count: int = 0
    note: str = ""  # what a source needs to be asked for again (ETag)
    parents: tuple[str, ...] = ()


class Cache:
    """All records. Used from the event loop only."""

    def __init__(self, *, database: Database, root: Path) -> None:
        self.root = root
        self._database = database
        self._records: dict[str, Record] = {}
        self._by_key: dict[str, str] = {}
        self._dirty: set[str] = set()
        self._in_use: dict[str, int] = {}
        self.layer_exists: Callable[[Digest], bool] = lambda _chain: True

    def open(self) -> None:
        """Load the records; drop those whose layer or directory is gone."""
        self._database.migrate("build_cache", _MIGRATIONS)
        decoder = msgspec.json.Decoder(Record)
        for row in self._database.all("SELECT record FROM build_cache"):
            record = decoder.decode(row["record"])
            self._records[record.id] = record
            self._by_key.update(dict.fromkeys(record.keys, record.id))
        for record in list(self._records.values()):
            if not self._is_whole(record):
                self.remove(record.id)

    def _is_whole(self, record: Record) -> bool:
        if record.chain_id is not None:
            return self.layer_exists(record.chain_id)
        return not record.path or (self.root / record.path).is_dir()

    def records(self) -> list[Record]:
        """Return all records, oldest first."""
        return sorted(self._records.values(), key=lambda record: record.created_ns)

    def chains(self) -> set[Digest]:
        """Return the layers that the records keep from being collected."""
        found = {record.chain_id for record in self._records.values()}
        return {chain_id for chain_id in found if chain_id is not None}

    def get(self, identity: str) -> Record | None:
        """Return the record with this id."""
        return self._records.get(identity)

    def find(self, keys: Iterable[str]) -> Record | None:
        """Return the record of the first key that is known, and count the use."""
        for key in keys:
            identity = self._by_key.get(key)
            if identity is None:
                continue
            record = self._records[identity]
            if not self._is_whole(record):
                self.remove(identity)
                continue
            return self.touch(record)
        return None

    def peek(self, keys: Iterable[str]) -> Record | None:
        """Return the record of the first key that is known, without counting a use."""
        found = (self._by_key[key] for key in keys if key in self._by_key)
        return next((self._records[identity] for identity in found), None)

    def touch(self, record: Record) -> Record:
        """Count a use; written with the next ``flush``."""
        used = replace(
            self._records[record.id],
            last_used_ns=clock.now_ns(),
            usage_count=record.usage_count + 1,
        )
        self._records[record.id] = used
        self._dirty.add(record.id)
        return used

    def add(self, record: Record) -> None:
        """Store a record; another record of the same keys loses them."""
        failpoint("build.cache.before_record")
        self._write(record)
        self._records[record.id] = record
        self._by_key.update(dict.fromkeys(record.keys, record.id))

    def add_keys(self, record: Record, keys: Iterable[str]) -> None:
        """Let *record* be found by more keys."""
        current = self._records[record.id]
        missing = tuple(key for key in keys if key not in current.keys)
        if missing:
            self.add(replace(current, keys=(*current.keys, *missing)))

    def replace(self, record: Record) -> None:
        """Store a changed record."""
        self._write(record)
        self._records[record.id] = record
        self._by_key.update(dict.fromkeys(record.keys, record.id))

    def remove(self, identity: str) -> None:
        """Forget a record; its layer is free, its directory removed."""
        record = self._records.pop(identity, None)
        if record is None:
            return
        for key in record.keys:
            if self._by_key.get(key) == identity:
                del self._by_key[key]
        self._dirty.discard(identity)
        self._database.execute("DELETE FROM build_cache WHERE id = ?", identity)
        if record.path:
            atomicfile.remove_tree(self.root / record.path)

    def flush(self) -> None:
        """Write the uses counted since the last time, in one transaction.

        They only order what is pruned: where the disk has no room they wait for the next time.
        """
        dirty, self._dirty = self._dirty, set()
        try:
            with self._database.transaction():
                for identity in dirty:
                    if identity in self._records:
                        self._write(self._records[identity])
        except System as error:
            self._dirty |= dirty
            log.warning("uses of the build cache are not written yet: %s", error)

    def _write(self, record: Record) -> None:
        self._database.execute(
            "INSERT OR REPLACE INTO build_cache (id, record) VALUES (?, ?)",
            record.id,
            msgspec.json.encode(record),
        )

    def knows_state(self, state: str) -> bool:
        """Say whether a build by the classic API has been in *state* since they were forgotten."""
        return bool(self._database.all("SELECT 1 FROM build_states WHERE state = ?", state))

    def remember_states(self, states: Iterable[str]) -> None:
        """Note the states a build by the classic API went through; without room they are not."""
        try:
            with self._database.transaction():
                for state in states:
                    self._database.execute("INSERT OR IGNORE INTO build_states VALUES (?)", state)
                self._database.execute(
                    "DELETE FROM build_states WHERE rowid NOT IN"
                    " (SELECT rowid FROM build_states ORDER BY rowid DESC LIMIT ?)",
                    _MOST_STATES,
                )
        except System as error:
            log.warning("a later build will not say what this one went through: %s", error)

    def forget_states(self) -> None:
        """Forget the states: what comes next is new."""
        self._database.execute("DELETE FROM build_states")

    def use(self, identity: str) -> None:
        """Protect a record from pruning while a build needs it."""
        self._in_use[identity] = self._in_use.get(identity, 0) + 1

    def release(self, identity: str) -> None:
        """Undo one ``use``."""
        left = self._in_use.get(identity, 0) - 1
        if left > 0:
            self._in_use[identity] = left
        else:
            self._in_use.pop(identity, None)

    def in_use(self, identity: str) -> bool:
        """Say whether a running build needs the record."""
        return identity in self._in_use


def new_record_id() -> str:
    """Return an id of the form that BuildKit's have: 25 letters and digits."""
    alphabet = "abcdefghijklmnopqrstuvwxyz0123456789"
    return "".join(secrets.choice(alphabet) for _ in range(25))
