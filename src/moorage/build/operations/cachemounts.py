"""Cache mounts: directories that outlive a step, shared, private or locked.

Each is a record of the cache with a directory. *shared*: all use the one directory at once.
*locked*: one command at a time. *private*: a command takes a directory that no other uses, a new
one if there is none.
"""

from __future__ import annotations

import asyncio
import hashlib
import os
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

from msgspec.structs import replace

from moorage.build import cache as caches
from moorage.build.cache import Cache, Record
from moorage.build.graph import ExecMount
from moorage.lib import clock, offload
from moorage.lib.errors import InvalidParameter

Populate = Callable[[Path], None]


class CacheMounts:
    """The directories of this daemon. Used from the event loop only."""

    def __init__(self, cache: Cache) -> None:
        self._cache = cache
        self._locks: dict[str, asyncio.Lock] = {}
        self._choosing: dict[str, asyncio.Lock] = {}  # by key: finding or making a directory
        self._users: dict[str, int] = {}

    @asynccontextmanager
    async def use(
        self, mount: ExecMount, base: str, populate: Populate | None
    ) -> AsyncIterator[Path]:
        """Give the directory of *mount* for a block.

        *base* names what a new directory begins with, *populate* fills it.
        """
        key = _key(mount, base)
        if mount.sharing == "locked":
            lock = self._locks.setdefault(key, asyncio.Lock())
            async with lock, self._directory(key, mount, populate, private=False) as path:
                yield path
        else:
            private = mount.sharing == "private"
            async with self._directory(key, mount, populate, private=private) as path:
                yield path

    @asynccontextmanager
    async def _directory(
        self, key: str, mount: ExecMount, populate: Populate | None, *, private: bool
    ) -> AsyncIterator[Path]:
        async with self._choosing.setdefault(key, asyncio.Lock()):
            record = self._choose(key, private=private)
            if record is None:
                record = await self._create(key, mount, populate)
            self._cache.use(record.id)
            self._users[record.id] = self._users.get(record.id, 0) + 1
        path = self._cache.root / record.path
        try:
            yield path
        finally:
            self._users[record.id] -= 1
            self._cache.release(record.id)
            current = self._cache.get(record.id)
            if current is not None:
                size = await offload.run("fs", directory_size, path)
                self._cache.replace(
                    replace(
                        current,
                        size=size,
                        last_used_ns=clock.now_ns(),
                        usage_count=current.usage_count + 1,
                    )
                )

    def _choose(self, key: str, *, private: bool) -> Record | None:
        for record in self._cache.records():
            if record.kind == caches.CACHE_MOUNT and record.note == key:
                if private and self._users.get(record.id):
                    continue
                return record
        return None

    async def _create(self, key: str, mount: ExecMount, populate: Populate | None) -> Record:
        now = clock.now_ns()
        identity = caches.new_record_id()
        record = Record(
            id=identity,
            kind=caches.CACHE_MOUNT,
            description=f"cached mount {mount.target} from exec, id {mount.id}",
            path=f"mounts/{identity}",
            created_ns=now,
            last_used_ns=now,
            note=key,
        )
        path = self._cache.root / record.path
        self._cache.add(record)
        await offload.run("fs", _prepare, path, mount, populate)
        return record


def _key(mount: ExecMount, base: str) -> str:
    if mount.sharing not in {"shared", "private", "locked"}:
        raise InvalidParameter(f'unsupported sharing value "{mount.sharing}"')
    return hashlib.sha256(f"{mount.id}\0{base}".encode()).hexdigest()


def _prepare(path: Path, mount: ExecMount, populate: Populate | None) -> None:
    path.mkdir(mode=0o700, parents=True)
    if populate is not None:
        populate(path)
    os.chown(path, mount.uid, mount.gid)
    path.chmod(mount.mode if mount.mode is not None else 0o755)


def directory_size(path: Path) -> int:
    """Return the bytes that the files below *path* take, each inode once."""
    seen: set[tuple[int, int]] = set()
    total = 0
    stack = [str(path)]
    while stack:
        try:
            with os.scandir(stack.pop()) as entries:
                for entry in entries:
                    status = entry.stat(follow_symlinks=False)
                    if entry.is_dir(follow_symlinks=False):
                        stack.append(entry.path)
                    if (status.st_dev, status.st_ino) not in seen:
                        seen.add((status.st_dev, status.st_ino))
                        total += status.st_blocks * 512
        except FileNotFoundError:
            continue
    return total
