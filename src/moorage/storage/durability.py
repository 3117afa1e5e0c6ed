"""What was written but is not yet certainly on the disk, so that nobody has to wait for fsync.

A blob or layer is usable as soon as it is renamed into place. Its name is noted here in the same
moment; a background ``sync`` flushes the file system once for all of them and clears the notes. A
daemon that finds notes of another boot after a power cut knows exactly what to verify.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final, Literal

from moorage.kernel.syncfs import syncfs
from moorage.storage.metadata import Database

Kind = Literal["blob", "layer"]

_MIGRATIONS: Final = (
    """
    CREATE TABLE unsynced (kind TEXT NOT NULL, id TEXT NOT NULL, boot TEXT NOT NULL,
        PRIMARY KEY (kind, id)) WITHOUT ROWID
    """,
)


class Durability:
    """The notes; *boot* identifies the running kernel (/proc/sys/kernel/random/boot_id)."""

    def __init__(self, database: Database, root: Path, *, boot: str) -> None:
        self._database = database
        self._root = root
        self._boot = boot
        database.migrate("durability", _MIGRATIONS)

    def note(self, kind: Kind, identifier: str) -> None:
        """Remember that *identifier* may still be lost by a power cut."""
        self._database.execute(
            "INSERT OR REPLACE INTO unsynced VALUES (?, ?, ?)", kind, identifier, self._boot
        )

    def suspects(self) -> list[tuple[Kind, str]]:
        """Return what an earlier boot left unsynced: verify it, then ``forget`` it."""
        rows = self._database.all("SELECT kind, id FROM unsynced WHERE boot != ?", self._boot)
        return [("blob" if row["kind"] == "blob" else "layer", str(row["id"])) for row in rows]

    def forget(self, kind: Kind, identifier: str) -> None:
        """Drop the note: verified, or removed."""
        self._database.execute("DELETE FROM unsynced WHERE kind = ? AND id = ?", kind, identifier)

    def sync(self) -> None:
        """Flush the file system of the root and clear this boot's notes. Blocks; call off-loop."""
        rows = self._database.all("SELECT kind, id FROM unsynced WHERE boot = ?", self._boot)
        if not rows:
            return
        flush(self._root)
        with self._database.transaction():
            for row in rows:
                self.forget("blob" if row["kind"] == "blob" else "layer", str(row["id"]))


def flush(root: Path) -> None:
    """Flush everything on the file system of *root* to its disk."""
    fd = os.open(root, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        syncfs(fd)
    finally:
        os.close(fd)
