"""Files that appear whole or not at all, and trees that are removed without following anything."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

from moorage.lib import ids, removal


def write(path: Path, data: bytes, *, mode: int = 0o600, sync: bool = True) -> None:
    """Replace *path* by *data*: temporary name, fsync, rename, fsync of the directory."""
    temporary = path.with_name(f".{path.name}.{ids.token()}")
    fd = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, mode)
    try:
        with os.fdopen(fd, "wb") as file:
            file.write(data)
            file.flush()
            os.fchmod(file.fileno(), mode)  # the umask must not narrow what was asked for
            if sync:
                os.fsync(file.fileno())
        os.rename(temporary, path)
    except BaseException:
        with suppress(FileNotFoundError):
            temporary.unlink()
        raise
    if sync:
        sync_directory(path.parent)


def sync_directory(path: Path) -> None:
    """Make renames inside *path* durable."""
    fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def remove_tree(path: Path) -> None:
    """Remove *path* and all below it; absent is fine; a symlink is removed, never followed.

    Works by directory descriptors, so a name swapped for a symlink meanwhile is not followed.
    Raises: OSError (EBUSY: something is still mounted inside).
    """
    try:
        parent = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except FileNotFoundError:
        return
    try:
        with suppress(FileNotFoundError):
            removal.remove(parent, path.name)
    finally:
        os.close(parent)
