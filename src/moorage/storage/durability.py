"""What was written but is not yet certainly on the disk, so that nobody has to wait for fsync.

A blob or layer is usable as soon as it is renamed into place. Its name is noted here in the same
moment; a background ``sync`` flushes the file system once for all of them and clears the notes. A
daemon that finds notes of another boot after a power cut knows exactly what to verify. So it does
with those of a flush that failed: the kernel says once that something could not be written, and
goes on as if it had been.
"""

from __future__ import annotations

import os
import stat
from contextlib import suppress
from pathlib import Path
from typing import Final, Literal

from moorage.kernel.syncfs import syncfs
from moorage.storage.metadata import Database

Kind = Literal["blob", "layer"]

_LOST: Final = "lost"  # instead of a boot: the disk has failed since
_MIGRATIONS: Final = (
    """
    CREATE TABLE unsynced (kind TEXT NOT NULL, id TEXT NOT NULL, boot TEXT NOT NULL,
        PRIMARY KEY (kind, id)) WITHOUT ROWID
    """,
)


class Durability:
    """The notes; *boot* identifies the running kernel (/proc/sys/kernel/random/boot_id).

    *failed* is a file that says, for as long as this boot lasts, that a flush has failed: it is on
    a tmpfs, for the disk that fails has the database, too.
    """

    def __init__(self, database: Database, root: Path, *, boot: str, failed: Path) -> None:
        self._database = database
        self._boot = boot
        self._failed = failed
        # open from the start: a descriptor is told of what could not be written since it was opened
        self._fd = os.open(root, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        database.migrate("durability", _MIGRATIONS)
        if failed.exists():
            self._give_up()

    def close(self) -> None:
        """Stop listening to the disk; safe to call twice."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1

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
        """Flush the file system of the root and clear this boot's notes. Blocks; call off-loop.

        Raises: OSError (the disk fails; what was noted is suspect from now on), System.
        """
        rows = self._database.all("SELECT kind, id FROM unsynced WHERE boot = ?", self._boot)
        if not rows:
            return
        if self._failed.exists():
            self._give_up()
            return
        try:
            syncfs(self._fd)
        except OSError:
            self._failed.touch()
            self._give_up()
            raise
        with self._database.transaction():
            for row in rows:
                self.forget("blob" if row["kind"] == "blob" else "layer", str(row["id"]))

    def _give_up(self) -> None:
        """Make suspects of all notes of this boot; the disk may refuse that for now, too."""
        self._database.execute("UPDATE unsynced SET boot = ? WHERE boot = ?", _LOST, self._boot)
        self._failed.unlink()


def forget_pages(path: Path) -> None:
    """Drop what the kernel remembers of a file, or all files below a directory.

    What it could not write it remembers as if it had: only the disk itself tells what is there.
    """
    if not path.is_dir():
        _forget_pages(path)
        return
    for directory, _, names in os.walk(path):
        for name in names:
            _forget_pages(Path(directory, name))


def _forget_pages(path: Path) -> None:
    with suppress(OSError):  # links, devices; what cannot be opened is found out by who reads it
        fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        try:
            if stat.S_ISREG(os.fstat(fd).st_mode):
                os.posix_fadvise(fd, 0, 0, os.POSIX_FADV_DONTNEED)
        finally:
            os.close(fd)
