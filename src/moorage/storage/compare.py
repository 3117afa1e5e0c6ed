"""Whether an unpacked layer is still what its archive says: contents, kinds, modes, owners."""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Iterator
from typing import Final

from moorage.kernel.openat2 import openat2
from moorage.storage.archive import entry as kinds
from moorage.storage.archive.entry import Entry, clean
from moorage.storage.archive.reader import TarReader
from moorage.storage.initfiles import above
from moorage.storage.layerrecords import Layer
from moorage.storage.snapshots.contract import SnapshotDriver
from moorage.storage.snapshots.walk import open_root

_CHUNK: Final = 1 << 20
_TYPES: Final = {
    kinds.REGULAR: stat.S_IFREG,
    kinds.DIRECTORY: stat.S_IFDIR,
    kinds.SYMLINK: stat.S_IFLNK,
    kinds.CHARACTER: stat.S_IFCHR,
    kinds.BLOCK: stat.S_IFBLK,
    kinds.FIFO: stat.S_IFIFO,
}


def differences(
    driver: SnapshotDriver, layer: Layer, plain: Iterator[bytes], *, contents: bool = True
) -> str:
    """Return the first difference between a layer's tree and its archive; empty if there is none.

    *contents* False leaves out what the files hold. A name that the archive holds twice is
    compared with its last member only.
    Raises: InvalidParameter (the archive is broken), OSError.
    """
    wanted = _read(plain)
    root = open_root(driver.tree(layer.name))
    try:
        for name, (entry, content) in wanted.items():
            difference = _compare(root, name, entry, content if contents else "")
            if difference:
                return f"/{name}: {difference}"
    finally:
        os.close(root)
    return ""


def _read(plain: Iterator[bytes]) -> dict[str, tuple[Entry, str]]:
    """Return the members that a layer's tree must have, with the digests of their contents."""
    found: dict[str, tuple[Entry, str]] = {}
    inhabited: set[str] = set()  # directories that a name was found in, or below
    reader = TarReader(plain)
    for entry in reader:
        name = clean(entry.name)
        hasher = hashlib.sha256()
        if entry.kind == kinds.REGULAR and entry.sparse is None:
            reader.content(hasher.update)
        if name.rpartition("/")[2].startswith(kinds.WHITEOUT_PREFIX):
            continue
        if entry.kind != kinds.DIRECTORY and name in inhabited:  # it replaces a directory
            for gone in [key for key in found if key.startswith(f"{name}/")]:
                del found[gone]
        found[name] = (entry, hasher.hexdigest())
        for directory in above(name):
            if directory in inhabited:
                break
            inhabited.add(directory)
    return found


def _compare(root: int, name: str, entry: Entry, content: str) -> str:
    try:
        fd = openat2(root, name or ".", os.O_PATH | os.O_NOFOLLOW)
    except OSError as error:
        return error.strerror or "is missing"
    try:
        status = os.stat(fd)
        if entry.kind == kinds.HARD_LINK:
            return ""
        if stat.S_IFMT(status.st_mode) != _TYPES.get(entry.kind):
            return "is of another kind"
        link = entry.kind == kinds.SYMLINK
        checks = (
            ((status.st_uid, status.st_gid) == (entry.uid, entry.gid), "belongs to somebody else"),
            (link or stat.S_IMODE(status.st_mode) == entry.mode, "has another mode"),
            (not link or os.readlink("", dir_fd=fd) == entry.link, "points elsewhere"),
            (entry.kind != kinds.REGULAR or _is_content(fd, entry, content), "has other content"),
        )
        return next((what for holds, what in checks if not holds), "")
    finally:
        os.close(fd)


def _is_content(fd: int, entry: Entry, content: str) -> bool:
    if os.stat(fd).st_size != entry.size:
        return False
    return not content or entry.sparse is not None or _digest(fd) == content


def _digest(path_fd: int) -> str:
    hasher = hashlib.sha256()
    with open(f"/proc/self/fd/{path_fd}", "rb", buffering=0) as file:
        while chunk := file.read(_CHUNK):
            hasher.update(chunk)
    return hasher.hexdigest()
