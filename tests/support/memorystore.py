"""A cluster store in this process, which answers at once and fails when it is told to."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence

from moorage.cluster.etcd import Change, Entry, Etcd, LeaseEnded, Put, Snapshot
from moorage.lib.errors import Unavailable


class MemoryStore(Etcd):
    """Keys, leases and a watch, as of an etcd with one client."""

    def __init__(self) -> None:
        super().__init__([])
        self.keys: dict[str, Entry] = {}
        self.leases: set[int] = set()
        self.failing: set[str] = set()  # keys that cannot be written for now; "" = nothing works
        self.failures = 0
        self.watches = 0  # begun so far
        self.revision = 1
        self._changes: asyncio.Queue[Change | None] = asyncio.Queue()  # None: the connection ends

    def break_off(self) -> None:
        """Let nothing work for now; the watch ends."""
        self.failing = {""}
        self._changes.put_nowait(None)

    def _reach(self, *keys: str) -> None:
        if self.failing & {"", *keys}:
            self.failures += 1
            raise Unavailable("cannot reach the cluster store")

    def _write(self, put: Put) -> None:
        if put.lease and put.lease not in self.leases:
            raise LeaseEnded("the cluster has given this host up")
        self.revision += 1
        self.keys[put.key] = Entry(put.key, put.value, self.revision)
        self._changes.put_nowait(Change(put.key, put.value))

    async def get(self, key: str) -> Entry | None:
        """As etcd does."""
        self._reach()
        await asyncio.sleep(0)
        return self.keys.get(key)

    async def under(self, prefix: str) -> Snapshot:
        """As etcd does."""
        self._reach(prefix)
        return Snapshot([e for k, e in self.keys.items() if k.startswith(prefix)], self.revision)

    async def put(self, put: Put) -> None:
        """As etcd does."""
        await asyncio.sleep(0)
        self._reach(put.key)
        self._write(put)

    async def delete(self, key: str) -> None:
        """As etcd does."""
        self._reach(key)
        if self.keys.pop(key, None) is not None:
            self._changes.put_nowait(Change(key, None))

    async def commit(
        self,
        puts: Sequence[Put],
        *,
        absent: Sequence[str] = (),
        unchanged: Mapping[str, int] | None = None,
        deletes: Sequence[str] = (),
    ) -> bool:
        """As etcd does."""
        self._reach(*(put.key for put in puts), *deletes)
        await asyncio.sleep(0)
        wanted = (unchanged or {}).items()
        if any(key in self.keys for key in absent) or any(
            key not in self.keys or self.keys[key].revision != revision for key, revision in wanted
        ):
            return False
        for put in puts:
            self._write(put)
        for key in deletes:
            await self.delete(key)
        return True

    async def grant(self, ttl_s: int) -> int:
        """As etcd does, but that leases end only when a test says so."""
        del ttl_s
        self._reach()
        self.revision += 1
        self.leases.add(self.revision)
        return self.revision

    async def renew(self, lease: int) -> bool:
        """As etcd does."""
        self._reach()
        return lease in self.leases

    async def watch(self, prefix: str, revision: int) -> AsyncIterator[list[Change]]:
        """As etcd does, from the last watch on."""
        del prefix, revision
        self.watches += 1
        while (change := await self._changes.get()) is not None:
            yield [change]
