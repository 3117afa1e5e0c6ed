"""What a storage driver does: stacks of read-only layers, and writable ones on top of them.

Vocabulary. A *layer* is what one tar changes; it is named by the layer store and never changes
after ``commit``. A *stack* is given as the names of its layers, **topmost first**. A *writable*
layer stands on a stack and belongs to one container or build step. A *tree* is a directory.

A walk through one image and one container::

    path = driver.prepare("l1", [])            # unpack the first tar into path
    driver.commit("l1")
    path = driver.prepare("l2", ["l1"])        # the second, on top of it
    driver.commit("l2")
    driver.create("c1", ["l2", "l1"], size_bytes=None)
    root = driver.mount("c1", ["l2", "l1"])    # the container runs in root
    driver.unmount("c1")
    driver.changes("c1", ["l2", "l1"])         # what it changed
    driver.remove("c1"); driver.remove("l2"); driver.remove("l1")

Every method blocks: call it off the event loop. ``remove``, ``unmount`` and ``mount`` may run
twice. What is not committed when the daemon dies is rubbish: the layer store removes every name
that it does not know. A driver that is *isolated* keeps each layer alone, so that a layer can be
unpacked before anybody knows what it will stand on.

The suite in ``tests/contract/test_snapshot_drivers.py`` is run for every driver.
"""

from __future__ import annotations

import hashlib
import os
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from enum import IntEnum
from pathlib import Path
from typing import ClassVar

from msgspec import Struct

from moorage.kernel.idmap import IdMap
from moorage.lib import atomicfile
from moorage.lib.errors import System
from moorage.storage.archive import pack
from moorage.storage.archive.options import Whiteouts


class ChangeKind(IntEnum):
    """How a path differs from what is below; the numbers of the Engine API."""

    MODIFIED = 0
    ADDED = 1
    DELETED = 2


class Change(Struct, frozen=True, order=True):
    """One path that differs, absolute inside the root."""

    path: str
    kind: ChangeKind


class SnapshotDriver(ABC):
    """Base of the drivers. ``root`` belongs to the driver alone."""

    name: ClassVar[str]
    isolated: ClassVar[bool] = False
    whiteouts: ClassVar[Whiteouts] = Whiteouts.APPLY  # how ``prepare``'s tree wants them
    known_options: ClassVar[frozenset[str]] = frozenset()  # of ``--storage-opt``
    labels_mounts: ClassVar[bool] = False  # whether a mount shows its files with a *label*
    has_quota: bool = False  # whether ``size_bytes`` can be kept

    def __init__(self, root: Path, options: Mapping[str, str]) -> None:
        self.root = root
        self.options = dict(options)

    @abstractmethod
    def probe(self) -> None:
        """Try the driver on the file system of its root.

        Raises: System, saying what is missing and what to do.
        """

    @abstractmethod
    def prepare(self, name: str, parents: Sequence[str]) -> Path:
        """Make layer *name* and return the tree to unpack into; *parents* may be empty."""

    @abstractmethod
    def commit(self, name: str) -> None:
        """Declare layer *name* finished."""

    @abstractmethod
    def create(self, name: str, parents: Sequence[str], *, size_bytes: int | None) -> None:
        """Make writable layer *name*. Raises: InvalidParameter, if *size_bytes* cannot be kept."""

    @abstractmethod
    def mount(self, name: str, parents: Sequence[str], *, label: str = "") -> Path:
        """Make the root of writable layer *name* available; again returns the same.

        *label*: what SELinux sees the files with, if the driver ``labels_mounts``.
        """

    def map_owners(self, owners: IdMap, place: Path, namespace: int) -> None:
        """Have ``mount_mapped`` and ``view_mapped`` from now on; *place* is a mount point of ours.

        *namespace*: a user namespace with that map.
        Raises: System (the driver or the kernel cannot).
        """
        del owners, place, namespace
        raise System(
            f"userns-remap: the storage driver {self.name} cannot map the owners of files",
            hint="use overlay2",
        )

    def mount_mapped(self, name: str, parents: Sequence[str], *, label: str = "") -> Path:
        """As ``mount``, owners seen through the map; on the disk they stay those inside."""
        raise NotImplementedError

    def view_mapped(self, key: str, parents: Sequence[str], *, label: str = "") -> Path:
        """As ``view``, owners seen through the map."""
        raise NotImplementedError

    @abstractmethod
    def unmount(self, name: str) -> None:
        """Undo ``mount``; not mounted is fine."""

    @abstractmethod
    def view(self, key: str, parents: Sequence[str], *, label: str = "") -> Path:
        """Make a stack available read-only under a *key* of the caller's; again: the same."""

    @abstractmethod
    def close_view(self, key: str) -> None:
        """Undo ``view``; absent is fine."""

    @abstractmethod
    def changes(self, name: str, parents: Sequence[str]) -> list[Change]:
        """Return what writable layer *name* changed, sorted by path."""

    def diff(self, name: str, parents: Sequence[str]) -> Iterator[bytes]:
        """Return the same as a layer's tar: the same bytes from every driver."""
        found = self.changes(name, parents)
        kept = [c.path[1:] for c in found if c.kind is not ChangeKind.DELETED]
        gone = [c.path[1:] for c in found if c.kind is ChangeKind.DELETED]
        fd = os.open(self.tree(name), os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
        try:
            yield from pack.pack_names(fd, kept, gone)
        finally:
            os.close(fd)

    @abstractmethod
    def usage(self, name: str, parents: Sequence[str]) -> int:
        """Return the bytes of files that writable layer *name* added or changed."""

    @abstractmethod
    def tree(self, name: str) -> Path:
        """Return where the files of layer *name* are."""

    def remove(self, name: str) -> None:
        """Remove layer *name*, unmounted before if need be; absent is fine."""
        self.unmount(name)
        atomicfile.remove_tree(self.root / name)

    def exists(self, name: str) -> bool:
        """Whether layer *name* is there."""
        return (self.root / name).is_dir()

    def names(self) -> list[str]:
        """Return every layer that is there, known or rubbish."""
        return [entry.name for entry in os.scandir(self.root) if not entry.name.startswith(".")]

    def data(self, name: str, parents: Sequence[str]) -> dict[str, str]:
        """Return what ``inspect`` shows as GraphDriver.Data."""
        del parents
        return {"Dir": str(self.tree(name))}

    def status(self) -> list[list[str]]:
        """Return what ``info`` shows as DriverStatus."""
        return []


def view_name(key: str) -> str:
    """Return a directory name for a view's key, whatever it holds."""
    return hashlib.sha256(key.encode()).hexdigest()[:16]
