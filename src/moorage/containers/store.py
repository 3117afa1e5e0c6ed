"""All containers: in memory for readers, in the database for the next start of the daemon."""

from __future__ import annotations

import bisect
import logging
from collections.abc import Iterable

import msgspec
from msgspec import structs

from moorage.containers.container import Container
from moorage.containers.record import ContainerRecord, Intent
from moorage.lib.errors import Conflict, InvalidParameter, NotFound, System
from moorage.storage.metadata import Database

log = logging.getLogger(__name__)

_MIGRATIONS = (
    """
    CREATE TABLE containers (
        id TEXT PRIMARY KEY, name TEXT NOT NULL UNIQUE, record BLOB NOT NULL
    )
    """,
)
_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(ContainerRecord).decode


class ContainerStore:
    """The containers by id and by name.

    A container whose creation is not finished has its name reserved but is not found by readers.
    """

    def __init__(self, database: Database) -> None:
        self._database = database
        database.migrate("containers", _MIGRATIONS)
        self._by_id: dict[str, Container] = {}
        self._by_name: dict[str, str] = {}
        self._sorted_ids: list[str] = []
        for row in database.all("SELECT record FROM containers"):
            record = _decode(row["record"])
            self._by_id[record.id] = Container(record)
            self._by_name[record.name] = record.id
        self._sorted_ids = sorted(self._by_id)

    def all(self) -> Iterable[Container]:
        """Return the containers that exist for users, in no order."""
        return [c for c in self._by_id.values() if c.record.intent is not Intent.CREATE]

    def every(self) -> list[Container]:
        """Return all, also those whose creation is not finished."""
        return list(self._by_id.values())

    def unfinished(self) -> list[Container]:
        """Return those with an intent that a crash has left."""
        return [c for c in self._by_id.values() if c.record.intent is not Intent.NONE]

    def get(self, reference: str) -> Container:
        """Find by full id, name, or a prefix of the id that only one has.

        Raises: NotFound, InvalidParameter (empty, or several match).
        """
        bare = reference.removeprefix("/")
        if not bare:
            raise InvalidParameter(f'invalid name or ID supplied: "{reference}"')
        found = self._by_id.get(bare) or self._by_id.get(self._by_name.get(bare, ""))
        found = found or self._by_prefix(bare) or self._by_link(bare)
        if found is None or found.record.intent is Intent.CREATE:
            raise NotFound(f"No such container: {reference}")
        return found

    def find(self, container_id: str) -> Container | None:
        """Return the container of a full id."""
        return self._by_id.get(container_id)

    def _by_prefix(self, prefix: str) -> Container | None:
        at = bisect.bisect_left(self._sorted_ids, prefix)
        matches = [i for i in self._sorted_ids[at : at + 2] if i.startswith(prefix)]
        if len(matches) > 1:
            raise InvalidParameter(f"multiple IDs found with provided prefix: {prefix}")
        return self._by_id[matches[0]] if matches else None

    def _by_link(self, reference: str) -> Container | None:
        """Find by ``parent/alias``."""
        if "/" not in reference:
            return None
        wanted = f"/{reference}"
        return next((c for c in self.all() if wanted in c.record.names_in_links), None)

    def name_taken(self, name: str) -> bool:
        """Whether a container, finished or not, has *name*."""
        return name in self._by_name

    def require_free_name(self, name: str) -> None:
        """Refuse a name in use.

        Raises: Conflict, with Docker's sentence.
        """
        if (owner := self._by_name.get(name)) is not None:
            raise Conflict(
                f'Conflict. The container name "/{name}" is already in use by container "{owner}".'
                " You have to remove (or rename) that container to be able to reuse that name."
            )

    def insert(self, container: Container) -> None:
        """Add a new container and its name.

        Raises: Conflict (the name is taken).
        """
        record = container.record
        self.require_free_name(record.name)
        self._database.execute(
            "INSERT INTO containers VALUES (?, ?, ?)", record.id, record.name, _encode(record)
        )
        self._by_id[record.id] = container
        self._by_name[record.name] = record.id
        bisect.insort(self._sorted_ids, record.id)

    def change(self, container: Container, **changes: object) -> ContainerRecord:
        """Replace fields of the record, durably, then for readers.

        Raises: NotFound, if it was removed while the caller waited for the lock: its name may be
        another's by now.
        *Preconditions*: the caller holds the container's lock.
        """
        if self._by_id.get(container.id) is not container:
            raise NotFound(f"No such container: {container.name}")
        record = structs.replace(container.record, **changes)
        self._save(record)
        if record.name != container.record.name:
            self._by_name.pop(container.record.name, None)
            self._by_name[record.name] = record.id
        container.record = record
        return record

    def observe(self, container: Container, **changes: object) -> bool:
        """Note what has happened already, which a full disk cannot undo: for readers at least.

        Returns: whether it is durable; if not, ``change`` is to be called again later.
        *Preconditions*: the caller holds the container's lock.
        """
        container.record = structs.replace(container.record, **changes)
        try:
            self._save(container.record)
        except System as error:
            log.warning("container %s: its state is not on record: %s", container.id, error)
            return False
        return True

    def _save(self, record: ContainerRecord) -> None:
        self._database.execute(
            "UPDATE containers SET name = ?, record = ? WHERE id = ?",
            record.name,
            _encode(record),
            record.id,
        )

    def change_host_config(self, container: Container, **changes: object) -> ContainerRecord:
        """Replace fields of the host configuration; as ``change``."""
        host = structs.replace(container.record.host_config, **changes)
        return self.change(container, host_config=host)

    def delete(self, container: Container) -> None:
        """Forget a container and free its name; absent is fine."""
        self._database.execute("DELETE FROM containers WHERE id = ?", container.id)
        if self._by_id.pop(container.id, None) is not None:
            self._by_name.pop(container.name, None)
            self._sorted_ids.pop(bisect.bisect_left(self._sorted_ids, container.id))
