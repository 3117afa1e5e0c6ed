"""Which driver: the one asked for, the one whose layers are there, or the first that works."""

from __future__ import annotations

import importlib
import logging
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from moorage.lib.errors import InvalidParameter, MoorageError, System
from moorage.storage.snapshots.contract import SnapshotDriver

log = logging.getLogger(__name__)

# name to (module, class); loaded only when used, in the order of automatic choice
_DRIVERS: Final[dict[str, tuple[str, str]]] = {
    "overlay2": ("overlay", "OverlayDriver"),
    "btrfs": ("btrfs", "BtrfsDriver"),
    "fuse-overlayfs": ("fuse", "FuseOverlayDriver"),
    "vfs": ("vfs", "VfsDriver"),
}
_GONE: Final = {
    "aufs": "no mainline kernel has aufs any more",
    "devicemapper": "it was slow, fragile, and is removed from Docker too",
    "zfs": "zfs is no part of the mainline kernel, and this program has no driver for it",
    "overlay": "the first overlay driver wasted inodes and is removed from Docker too",
}


def choose(root: Path, wanted: str, options: Mapping[str, str]) -> SnapshotDriver:
    """Return a driver that works, on its own directory below *root*.

    Without a *wanted* one, the drivers that have layers there already go first.
    Raises: InvalidParameter (no such driver), System (it does not work here).
    """
    if wanted:
        return _probed(root, wanted, options)
    used = _used(root)
    failure: MoorageError | None = None
    for name in (*used, *_DRIVERS):
        try:
            return _probed(root, name, options)
        except MoorageError as error:
            if name in used:
                raise
            log.info("storage driver %s does not work here: %s", name, error)
            failure = failure or error
    raise failure or System("no storage driver works here")


def _used(root: Path) -> list[str]:
    """Return the drivers that have layers below *root*, in order of preference."""
    return [
        name
        for name in _DRIVERS
        if (root / name).is_dir()
        and any(not layer.startswith(".") for layer in os.listdir(root / name))
    ]


def load(root: Path, name: str, options: Mapping[str, str]) -> SnapshotDriver:
    """Return driver *name* unprobed. Raises: InvalidParameter, with what to use instead."""
    if name in _GONE:
        raise InvalidParameter(
            f"the storage driver {name} is not supported: {_GONE[name]}",
            hint="use overlay2; images can be moved with `docker save` and `moor load`",
        )
    if name not in _DRIVERS:
        raise InvalidParameter(
            f'unknown storage driver "{name}"', hint="known: " + ", ".join(_DRIVERS)
        )
    module, cls = _DRIVERS[name]
    found: type[SnapshotDriver] = getattr(
        importlib.import_module(f"moorage.storage.snapshots.{module}"), cls
    )
    unknown = sorted(set(options) - found.known_options)
    if unknown:
        known = ", ".join(sorted(found.known_options)) or "none"
        raise InvalidParameter(f"{name}: unknown option {unknown[0]}", hint=f"known here: {known}")
    return found(root / name, options)


def _probed(root: Path, name: str, options: Mapping[str, str]) -> SnapshotDriver:
    driver = load(root, name, options)
    driver.probe()
    return driver
