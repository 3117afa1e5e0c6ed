"""The digest of selected files: what of them counts for the cache.

Names, kinds, permissions, owners (where they mean something), link targets, extended attributes
and content count; times and inode numbers do not, as with Docker.
"""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Iterable, MutableMapping
from typing import Final

from moorage.build.files.select import Selected, walk
from moorage.build.ignore import Matcher
from moorage.kernel.openat2 import openat2

_CHUNK: Final = 1 << 20


def of_selection(
    root_fd: int,
    selection: Iterable[Selected],
    *,
    owners: bool,
    exclude: Matcher | None = None,
    known: MutableMapping[str, bytes] | None = None,
) -> str:
    """Return the digest of *selection* below the root.

    *known* remembers content digests by path, for trees that do not change.
    """
    run = _Run(owners, exclude, {} if known is None else known)
    for item in selection:
        fd = openat2(root_fd, item.path or ".", os.O_PATH)
        try:
            run.add(fd, item)
        finally:
            os.close(fd)
    return run.state.hexdigest()


class _Run:
    """One digest being made."""

    def __init__(
        self,
        owners: bool,  # noqa: FBT001
        exclude: Matcher | None,
        known: MutableMapping[str, bytes],
    ) -> None:
        self.state = hashlib.sha256()
        self._owners = owners
        self._exclude = exclude
        self._known = known

    def add(self, fd: int, item: Selected) -> None:
        self.state.update(f"\0{item.target}\0".encode("utf-8", "surrogateescape"))
        if item.is_directory:
            self._directory(fd, item.path)
            return
        status = os.fstat(fd)
        self.state.update(_metadata("", status, self._owners))
        if stat.S_ISREG(status.st_mode):
            if item.path not in self._known:
                opened = os.open(f"/proc/self/fd/{fd}", os.O_RDONLY | os.O_CLOEXEC)
                self._known[item.path] = _of_descriptor(opened)
            self.state.update(self._known[item.path])

    def _directory(self, path_fd: int, top: str) -> None:
        flags = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC
        top_fd = os.open(f"/proc/self/fd/{path_fd}", flags)
        try:
            for parent, name, path, status in walk(top_fd, self._exclude):
                self.state.update(_metadata(path, status, self._owners))
                if stat.S_ISREG(status.st_mode):
                    full = f"{top}/{path}" if top else path
                    content = self._known.get(full)
                    if content is None:
                        content = self._known[full] = _of_file(parent, name)
                    self.state.update(content)
                elif stat.S_ISLNK(status.st_mode):
                    self.state.update(os.fsencode(os.readlink(name, dir_fd=parent)))
        finally:
            os.close(top_fd)


def _metadata(path: str, status: os.stat_result, owners: bool) -> bytes:  # noqa: FBT001
    kind = stat.S_IFMT(status.st_mode)
    mode = 0 if stat.S_ISLNK(status.st_mode) else stat.S_IMODE(status.st_mode)
    owner = f"{status.st_uid}:{status.st_gid}" if owners else ""
    size = status.st_size if stat.S_ISREG(status.st_mode) else 0
    device = status.st_rdev if stat.S_ISBLK(status.st_mode) or stat.S_ISCHR(status.st_mode) else 0
    text = f"\0{path}\0{kind:o}\0{mode:o}\0{owner}\0{size}\0{device}\0"
    return text.encode("utf-8", "surrogateescape")


def _of_file(parent: int, name: str) -> bytes:
    flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
    return _of_descriptor(os.open(name, flags, dir_fd=parent))


def _of_descriptor(fd: int) -> bytes:
    """Hash an open file and close it; attributes of the file count too."""
    try:
        state = hashlib.sha256()
        while chunk := os.read(fd, _CHUNK):
            state.update(chunk)
        for name in sorted(os.listxattr(fd)):
            if name.startswith(("user.", "security.capability")):
                state.update(name.encode() + b"=" + os.getxattr(fd, name))
        return state.digest()
    finally:
        os.close(fd)
