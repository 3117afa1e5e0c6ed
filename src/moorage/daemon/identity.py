"""Who we are: the installation, made once and shown by ``info``; and the boot of the machine."""

from __future__ import annotations

from pathlib import Path

from moorage.lib import ids
from moorage.storage.metadata import Database


def daemon_id(database: Database) -> str:
    """Return the id of this installation."""
    database.migrate(
        "daemon", ["CREATE TABLE daemon (key TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT"]
    )
    with database.transaction():
        row = database.one("SELECT value FROM daemon WHERE key = 'id'")
        if row is not None:
            return str(row["value"])
        digits = ids.new_id()
        fresh = "-".join((digits[:8], digits[8:12], digits[12:16], digits[16:20], digits[20:32]))
        database.execute("INSERT INTO daemon VALUES ('id', ?)", fresh)
        return fresh


def boot_id() -> str:
    """Return what the kernel calls this boot."""
    return Path("/proc/sys/kernel/random/boot_id").read_text().strip()
