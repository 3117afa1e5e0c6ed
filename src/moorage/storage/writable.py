"""Writable layers: what containers and build steps write to, on top of a stack of layers."""

from __future__ import annotations

import os
import threading
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from moorage.kernel.idmap import IdMap
from moorage.kernel.openat2 import openat2
from moorage.lib import clock, units
from moorage.lib.errors import Conflict, InvalidParameter, NotFound, System
from moorage.lib.failpoint import failpoint
from moorage.spec.digest import Digest
from moorage.storage import initfiles, stacking
from moorage.storage.archive import pack
from moorage.storage.archive.chunks import as_file
from moorage.storage.archive.options import PackOptions
from moorage.storage.layerrecords import Layer, LayerRecords, WritableLayer
from moorage.storage.snapshots.contract import Change, ChangeKind, SnapshotDriver

Stubs = Callable[[int, int], list[str]]
"""Makes files below a first descriptor that the root of the second lacks, as ``initfiles.write``:
returns the directories that something was made in, and those above them."""

Labelling = Callable[[Path, str], None]
"""Sets the label of SELinux on a tree."""


class WritableLayers(ABC):
    """The writable half of the layer store; ``_lock`` guards the dictionaries.

    ``_mounting`` holds a lock for each layer: a driver looks whether it is mounted, then mounts it.

    A layer may be mounted for several reasons at once (the container runs, somebody exports it);
    each reason is an *owner*, and the last one to go unmounts.
    """

    driver: SnapshotDriver
    owners: IdMap | None = None  # how containers see them; None: as they are
    labelling: Labelling | None = None  # SELinux; None: files have no labels of containers
    _records: LayerRecords
    _lock: threading.RLock
    _writables: dict[str, WritableLayer]
    _inits: dict[str, str]
    _users: dict[str, set[str]]
    _mounting: dict[str, threading.Lock]

    @abstractmethod
    def stack(self, chain_id: Digest | None) -> list[str]:
        """Return the driver's names of a stack, topmost first."""

    @abstractmethod
    def apply(self, tar: BinaryIO, *, parent: Digest | None) -> Layer:
        """Unpack an archive as a new layer."""

    @abstractmethod
    def _new_name(self) -> str: ...

    def create_rw(
        self,
        container_id: str,
        *,
        parent: Digest | None,
        storage_opt: Mapping[str, str] | None = None,
        init: bool = True,
        stubs: Stubs | None = None,
        mapped: bool = True,
        label: str = "",
    ) -> None:
        """Make the writable layer of a container; *init* puts the files for its mounts below it.

        *stubs* adds more of them (mount targets of a build step); they go with this layer.
        *mapped*: owners are seen through the daemon's map, if it has one. *label*: what SELinux
        sees its files with.
        Raises: NotFound (parent), Conflict (it exists), InvalidParameter (bad storage option).
        """
        size_bytes = _parse_options(storage_opt or {})
        name = self._init_layer(parent, stubs) if init else None
        record = WritableLayer(
            id=container_id,
            parent=parent,
            init=name,
            size_bytes=size_bytes,
            created_ns=clock.now_ns(),
            mapped=mapped,
            label=label,
        )
        try:
            self._create(record)
        except BaseException:
            if name is not None and stubs is not None:  # made for this one alone
                self.driver.remove(name)
            raise

    def _create(self, record: WritableLayer) -> None:
        with self._lock:
            if record.id in self._writables:
                raise Conflict(f"the writable layer of {record.id} exists already")
            below = self._below(record)
            self._writables[record.id] = record
        try:
            self.driver.create(record.id, below, size_bytes=record.size_bytes)
            if record.label and self.labelling is not None and not self.driver.labels_mounts:
                self.labelling(self.driver.tree(record.id), record.label)
            failpoint("layers.rw.after_create")
            self._records.save_writable(record)
        except BaseException:
            self.driver.remove(record.id)
            with self._lock:
                del self._writables[record.id]
            raise

    def seen_owners(self, container_id: str) -> IdMap | None:
        """Return the map through which ``mount_rw`` shows owners, None for none."""
        return self.owners if self._get(container_id).mapped else None

    def mount_rw(self, container_id: str, *, owner: str = "container") -> Path:
        """Make the root available for *owner*; again returns the same path. Raises: NotFound."""
        record = self._get(container_id)
        with self._lock:
            self._users.setdefault(container_id, set()).add(owner)
            mounting = self._mounting.setdefault(container_id, threading.Lock())
        label = record.label if self.labelling is not None else ""
        try:
            with mounting:
                if self.owners is None or not record.mapped:
                    return self.driver.mount(container_id, self._below(record), label=label)
                return self.driver.mount_mapped(container_id, self._below(record), label=label)
        except BaseException:
            self.unmount_rw(container_id, owner=owner)
            raise

    def unmount_rw(self, container_id: str, *, owner: str = "container") -> None:
        """End the use by *owner*; not mounted, or no such layer, is fine."""
        failpoint("layers.rw.before_unmount")
        with self._lock:
            users = self._users.get(container_id, set())
            users.discard(owner)
            if users:
                return
            self._users.pop(container_id, None)
            self.driver.unmount(container_id)

    def remove_rw(self, container_id: str) -> None:
        """Remove the writable layer; absent is fine.

        Its record goes first, so that what a crash leaves is found and removed; but where the disk
        is too full for that, the files make room for it.
        """
        with self._lock:
            try:
                self._records.delete_writable(container_id)
            except System:
                self.driver.remove(container_id)
                self._records.delete_writable(container_id)
            known = self._writables.pop(container_id, None)
            self._users.pop(container_id, None)
            self._mounting.pop(container_id, None)
        failpoint("layers.rw.after_forget")
        if known is not None or self.driver.exists(container_id):
            self.driver.remove(container_id)
        if known is not None and known.init and known.init not in self._inits.values():
            self.driver.remove(known.init)

    def has_rw(self, container_id: str) -> bool:
        """Whether the container has a writable layer here."""
        return container_id in self._writables

    def rw_size(self, container_id: str) -> int:
        """Return the bytes of files that the container added or changed."""
        record = self._get(container_id)
        return self.driver.usage(container_id, self._below(record))

    def rw_data(self, container_id: str) -> dict[str, str]:
        """Return what ``inspect`` shows as GraphDriver.Data; empty if there is no such layer."""
        record = self._writables.get(container_id)
        return self.driver.data(container_id, self._below(record)) if record else {}

    def writables(self) -> list[WritableLayer]:
        """Return all writable layers."""
        with self._lock:
            return list(self._writables.values())

    def changes(self, container_id: str) -> list[Change]:
        """Return what the container changed, sorted by path."""
        record = self._get(container_id)
        return self.driver.changes(container_id, self._below(record))

    def diff(self, container_id: str) -> Iterator[bytes]:
        """Return what the container changed as a layer's tar, in chunks."""
        record = self._get(container_id)
        return self.driver.diff(container_id, self._below(record))

    def clamp_times(self, container_id: str, latest_ns: int) -> None:
        """Set every later time of what the container changed to *latest_ns*; it must not run."""
        changed = [c.path for c in self.changes(container_id) if c.kind != ChangeKind.DELETED]
        with opened(self.driver.tree(container_id)) as root:
            for path in (*changed, ""):
                directory, _, name = path[1:].rpartition("/")
                parent = openat2(root, directory or ".", os.O_PATH | os.O_DIRECTORY)
                try:
                    _clamp(name or ".", parent, latest_ns)
                finally:
                    os.close(parent)

    def export(self, container_id: str) -> Iterator[bytes]:
        """Return the container's whole tree as tar, in chunks; mounts of it are not in it."""
        self._get(container_id)
        return self._export(container_id)

    def _export(self, container_id: str) -> Iterator[bytes]:
        with self.mounted(container_id, "export") as root:
            owners = self.seen_owners(container_id)
            yield from pack.pack(root, options=PackOptions(ids=owners.seen if owners else None))

    @contextmanager
    def mounted(self, container_id: str, reason: str) -> Iterator[int]:
        """Lend a descriptor of the container's root, mounted for as long as it is used."""
        owner = f"{reason}-{threading.get_ident()}"
        root = self.mount_rw(container_id, owner=owner)
        try:
            with opened(root) as fd:
                yield fd
        finally:
            self.unmount_rw(container_id, owner=owner)

    def commit_rw(self, container_id: str) -> Layer:
        """Make a new layer of what the container changed, on top of its image's."""
        record = self._get(container_id)
        with as_file(self.diff(container_id)) as tar:
            return self.apply(tar, parent=record.parent)

    def mount_view(
        self,
        key: str,
        chain_id: Digest | None,
        *,
        readonly: bool = True,
        mapped: bool = False,
        label: str = "",
    ) -> Path:
        """Make a stack available under *key*; writes to a view that is not *readonly* are lost.

        *mapped*: owners of a *readonly* one are seen through the daemon's map, if it has one.
        *label*: what SELinux sees its files with, where the driver can do that.
        Raises: NotFound.
        """
        if mapped and self.owners is not None:
            return self.driver.view_mapped(key, self.stack(chain_id), label=label)
        if readonly:
            return self.driver.view(key, self.stack(chain_id), label=label)
        if key not in self._writables:
            self.create_rw(key, parent=chain_id, init=False, mapped=False)
        return self.mount_rw(key, owner="view")

    def unmount_view(self, key: str) -> None:
        """Undo ``mount_view``; absent is fine."""
        if key in self._writables:
            self.remove_rw(key)
        else:
            self.driver.close_view(key)

    def _get(self, container_id: str) -> WritableLayer:
        record = self._writables.get(container_id)
        if record is None:
            raise NotFound(f"the writable layer of {container_id} does not exist")
        return record

    def _below(self, record: WritableLayer) -> list[str]:
        below = self.stack(record.parent)
        return [record.init, *below] if record.init else below

    def _init_layer(self, parent: Digest | None, stubs: Stubs | None) -> str:
        """Return the layer with the init files on top of *parent*, made once for all containers.

        With *stubs* it is a new one for the caller alone.
        """
        key = parent or ""
        with self._lock:
            if stubs is None and (known := self._inits.get(key)) is not None:
                return known
            below = self.stack(parent)
            name = self._new_name()
            try:
                self._make_init(name, below, stubs)
            except BaseException:
                self.driver.remove(name)
                raise
            if stubs is None:
                self._records.save_init(key, name)
                self._inits[key] = name
            return name

    def _make_init(self, name: str, below: list[str], stubs: Stubs | None) -> None:
        """Write the init files; without a writable mount, whose end would flush the whole disk."""
        tree = self.driver.prepare(name, below)
        view = f"init-{name}"
        seen = self.driver.view(view, below) if self.driver.isolated else tree
        try:
            with opened(tree) as target_fd, opened(seen) as seen_fd:
                grown = initfiles.write(target_fd, seen_fd)
                if stubs is not None:
                    grown += stubs(target_fd, seen_fd)
        finally:
            if self.driver.isolated:
                self.driver.close_view(view)
        stacking.inherit(tree, [self.driver.tree(parent) for parent in below], ["", *grown])
        self.driver.commit(name)


@contextmanager
def opened(tree: Path) -> Iterator[int]:
    """Lend a descriptor of a directory of ours."""
    fd = os.open(tree, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        yield fd
    finally:
        os.close(fd)


def _clamp(name: str, parent: int, latest_ns: int) -> None:
    if os.lstat(name, dir_fd=parent).st_mtime_ns > latest_ns:
        os.utime(name, ns=(latest_ns, latest_ns), dir_fd=parent, follow_symlinks=False)


def _parse_options(options: Mapping[str, str]) -> int | None:
    """Return the size limit. Raises: InvalidParameter, for any other option."""
    size = None
    for key, value in options.items():
        if key.lower() != "size":
            raise InvalidParameter(f"Unknown option {key}", hint="known here: size")
        try:
            size = units.parse_bytes(value)
        except ValueError as error:
            raise InvalidParameter(f"invalid size for --storage-opt: {value!r}") from error
    return size
