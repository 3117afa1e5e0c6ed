"""A layer store of a test's own, and tars made member by member, hostile ones too."""

from __future__ import annotations

import io
import tarfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from moorage.storage.content import ContentStore
from moorage.storage.durability import Durability
from moorage.storage.layers import LayerStore
from moorage.storage.leases import Leases
from moorage.storage.metadata import Database
from moorage.storage.snapshots import choose

MTIME = 1_700_000_000


class Stores:
    """The storage of one data-root."""

    def __init__(
        self,
        root: Path,
        driver: str,
        options: Mapping[str, str] | None = None,
        *,
        database: Path | None = None,
    ) -> None:
        root.mkdir(exist_ok=True)
        self.root = root
        database = database or root / "test.db"
        self.database = Database(database)
        self.durability = Durability(
            self.database, root, boot="this", failed=database.with_name("disk-failed")
        )
        self.content = ContentStore(root / "content", self.durability)
        self.driver = choose.choose(root / "layers", driver, options or {})
        self.layers = LayerStore(
            driver=self.driver,
            database=self.database,
            content=self.content,
            durability=self.durability,
        )
        self.layers.open()
        self.leases = Leases(self.database)

    def close(self) -> None:
        """Unmount and remove everything of the driver."""
        for name in self.driver.names():
            self.driver.remove(name)
        self.leave()

    def leave(self) -> None:
        """Let go of all files, and leave them there."""
        self.durability.close()
        self.database.close()


@contextmanager
def stores(root: Path, driver: str = "overlay2") -> Iterator[Stores]:
    """Lend the storage of one data-root."""
    made = Stores(root, driver)
    try:
        yield made
    finally:
        made.close()


class Tar:
    """Builds an archive."""

    def __init__(self) -> None:
        self._out = io.BytesIO()
        self._tar = tarfile.TarFile(fileobj=self._out, mode="w", format=tarfile.PAX_FORMAT)

    def add(
        self,
        name: str,
        data: bytes = b"",
        *,
        kind: bytes = tarfile.REGTYPE,
        link: str = "",
        mode: int = 0o644,
        uid: int = 0,
        gid: int = 0,
        device: tuple[int, int] = (0, 0),
        pax: Mapping[str, str] | None = None,
        mtime: float = MTIME,
    ) -> Tar:
        """Add a member; returns the builder."""
        info = tarfile.TarInfo(name)
        info.type, info.linkname, info.mode, info.uid, info.gid = kind, link, mode, uid, gid
        info.size, info.mtime, info.pax_headers = len(data), mtime, dict(pax or {})
        info.devmajor, info.devminor = device
        self._tar.addfile(info, io.BytesIO(data))
        return self

    def directory(self, name: str, mode: int = 0o755, **other: object) -> Tar:
        """Add a directory."""
        return self.add(name, kind=tarfile.DIRTYPE, mode=mode, **other)  # type: ignore[arg-type]

    def symlink(self, name: str, target: str) -> Tar:
        """Add a symbolic link."""
        return self.add(name, kind=tarfile.SYMTYPE, link=target, mode=0o777)

    def hard_link(self, name: str, target: str) -> Tar:
        """Add a further name of a file."""
        return self.add(name, kind=tarfile.LNKTYPE, link=target)

    def raw(self) -> bytes:
        """Return the archive."""
        self._tar.close()
        return self._out.getvalue()

    def file(self) -> io.BytesIO:
        """Return the archive as a file."""
        return io.BytesIO(self.raw())


def list_members(tar: bytes) -> list[tuple[object, ...]]:
    """Return what an archive's headers say, member by member in its order."""
    with tarfile.open(fileobj=io.BytesIO(tar)) as archive:
        return [
            (m.name, m.type, oct(m.mode), m.uid, m.gid, m.size, m.mtime, m.linkname, m.pax_headers)
            for m in archive
        ]
