"""Past builds: what was built, how long it took, how it ended, and its log.

::

    build/history/<id>.jsonl    the events of a build, one a line

The records are in the database. The oldest go when there are more than ``KEEP``.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

import msgspec
from msgspec import Struct

from moorage.build.progress import Event, LogEvent, VertexEvent, WarningEvent
from moorage.lib.errors import NotFound, System
from moorage.storage.metadata import Database

KEEP: Final = 100
log = logging.getLogger(__name__)

_MIGRATIONS: Final = (
    "CREATE TABLE build_history (id TEXT PRIMARY KEY, record BLOB NOT NULL) STRICT",
)


class PastBuild(Struct, frozen=True, kw_only=True, rename="pascal"):
    """One build."""

    id: str = msgspec.field(name="ID")
    name: str = ""
    tags: tuple[str, ...] = ()
    dockerfile: str = ""
    target: str = ""
    status: str  # running completed error cancelled
    error: str = ""
    created_ns: int = msgspec.field(name="CreatedNs")
    completed_ns: int = msgspec.field(default=0, name="CompletedNs")
    steps: int = 0
    cached_steps: int = 0
    warnings: int = 0
    image_id: str = msgspec.field(default="", name="ImageID")
    platform: str = ""


class History:
    """All past builds, newest first. Used from the event loop only."""

    def __init__(self, *, database: Database, root: Path) -> None:
        self._database = database
        self._root = root / "history"
        self._records: dict[str, PastBuild] = {}

    def open(self) -> None:
        """Load; builds that a former daemon left running were cut off."""
        self._database.migrate("build_history", _MIGRATIONS)
        self._root.mkdir(mode=0o700, parents=True, exist_ok=True)
        decoder = msgspec.json.Decoder(PastBuild)
        for row in self._database.all("SELECT record FROM build_history"):
            record = decoder.decode(row["record"])
            self._records[record.id] = record
        for record in list(self._records.values()):
            if record.status == "running":
                self.save(
                    msgspec.structs.replace(
                        record, status="error", error="the daemon ended during the build"
                    )
                )

    def save(self, record: PastBuild) -> None:
        """Store a record; forget the oldest."""
        self._records[record.id] = record
        encoded = msgspec.json.encode(record)
        self._database.execute(
            "INSERT OR REPLACE INTO build_history VALUES (?, ?)", record.id, encoded
        )
        for old in self.list()[KEEP:]:
            self.remove(old.id)

    def finish(self, record: PastBuild) -> None:
        """Store how a build ended; a disk without room must not hide that from its client."""
        try:
            self.save(record)
        except System as error:
            log.warning("build %s is missing in the history: %s", record.id, error)

    def list(self) -> list[PastBuild]:
        """Return all, newest first."""
        return sorted(self._records.values(), key=lambda record: -record.created_ns)

    def get(self, ref: str) -> PastBuild:
        """Return the build whose id begins with *ref*; ``^0`` is the newest, ``^1`` the one before.

        Raises: NotFound.
        """
        if ref.startswith("^") and ref[1:].isdigit() and int(ref[1:]) < len(self._records):
            return self.list()[int(ref[1:])]
        found = [record for record in self._records.values() if ref and record.id.startswith(ref)]
        if len(found) != 1:
            raise NotFound(f"no record found for {ref!r}")
        return found[0]

    def remove(self, identity: str) -> None:
        """Forget one."""
        self._records.pop(identity, None)
        self._database.execute("DELETE FROM build_history WHERE id = ?", identity)
        self._file(identity).unlink(missing_ok=True)

    def recorder(self, identity: str) -> tuple[Callable[[Event], None], Callable[[], None]]:
        """Return what takes the events of a build, and what closes its log.

        A log that cannot be written breaks off: it must not break the build.
        """
        file = self._file(identity).open("wb", buffering=1 << 16)
        encode = msgspec.json.Encoder().encode
        whole = True

        def record(event: Event) -> None:
            nonlocal whole
            if not whole or file.closed:
                return
            if isinstance(event, VertexEvent | LogEvent | WarningEvent):
                try:
                    file.write(encode(event) + b"\n")
                except OSError as error:
                    whole = False
                    log.warning("the log of build %s breaks off: %s", identity, error)

        def close() -> None:
            try:
                file.close()
            except OSError as error:
                log.warning("the log of build %s breaks off: %s", identity, error)

        return record, close

    def log(self, identity: str) -> Iterator[bytes]:
        """Yield the lines of a build's log."""
        try:
            with self._file(identity).open("rb") as file:
                yield from file
        except FileNotFoundError:
            return

    def _file(self, identity: str) -> Path:
        return self._root / f"{identity}.jsonl"
