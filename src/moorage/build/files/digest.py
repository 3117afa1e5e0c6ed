"""The digest of selected files: what of them counts for the cache.

Names, kinds, permissions, owners (where they mean something), link targets, extended attributes
and content count; times and inode numbers do not, as with Docker. The digest is the same whether
the files are there or only listed.
"""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import MutableMapping
from pathlib import Path
from typing import Final

from msgspec import Struct

from moorage.build.files.listing import Listing
from moorage.build.files.select import Disk, Selected, Tree, select, walk
from moorage.build.ignore import Matcher
from moorage.kernel.openat2 import openat2

_CHUNK: Final = 1 << 20


class Part(Struct, frozen=True, kw_only=True):
    """What of a tree is used: paths, each with whether it must be there."""

    paths: tuple[tuple[str, bool], ...]
    parents: bool = False
    exclude: tuple[str, ...] = ()
    owners: bool  # whether they count

    @property
    def matcher(self) -> Matcher | None:
        """Return what is left out."""
        return Matcher(self.exclude) if self.exclude else None

    def select(self, tree: Tree) -> list[Selected]:
        """Return what the paths name in *tree*. Raises: NotFound."""
        found: list[Selected] = []
        for path, required in self.paths:
            found += select(tree, path, parents=self.parents, required=required)
        return found


def of_files(root: Path, part: Part, known: MutableMapping[str, bytes]) -> str:
    """Return the digest of *part* of the files below *root*.

    *known* remembers content digests by path, for trees that do not change.
    Raises: NotFound (a path that must be there).
    """
    root_fd = os.open(root, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        run = _Run(part.owners, part.matcher, known)
        for item in part.select(Disk(root_fd)):
            fd = openat2(root_fd, item.path or ".", os.O_PATH)
            try:
                run.add(fd, item)
            finally:
                os.close(fd)
        return run.state.hexdigest()
    finally:
        os.close(root_fd)


def of_listing(listing: Listing, part: Part) -> str:
    """Return what ``of_files`` would return once the archive is unpacked; owners do not count.

    Raises: NotFound, NeedsFiles.
    """
    state = hashlib.sha256()
    matcher = part.matcher
    for item in part.select(listing):
        state.update(_heading(item))
        if item.path and item.is_directory:
            state.update(_text("", listing.members[item.path].mode, "", 0, 0))
        if not item.is_directory:
            member = listing.members[item.path]
            state.update(_text("", member.mode, "", member.size, 0) + member.digest)
            continue
        for path, _, member in listing.walk(item.path, matcher):
            state.update(_text(path, member.mode, "", member.size, 0))
            link = member.link.encode("utf-8", "surrogateescape")
            state.update(link if stat.S_ISLNK(member.mode) else member.digest)
    return state.hexdigest()


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
        self.state.update(_heading(item))
        status = os.fstat(fd)
        if item.is_directory:
            if item.path:  # a directory that is made by the copy gets these looks
                self.state.update(_metadata("", status, self._owners))
            self._directory(fd, item.path)
            return
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


def _heading(item: Selected) -> bytes:
    return f"\0{item.target}\0".encode("utf-8", "surrogateescape")


def _metadata(path: str, status: os.stat_result, owners: bool) -> bytes:  # noqa: FBT001
    mode = status.st_mode
    owner = f"{status.st_uid}:{status.st_gid}" if owners else ""
    size = status.st_size if stat.S_ISREG(mode) else 0
    device = status.st_rdev if stat.S_ISBLK(mode) or stat.S_ISCHR(mode) else 0
    return _text(path, mode, owner, size, device)


def _text(path: str, mode: int, owner: str, size: int, device: int) -> bytes:
    bits = 0 if stat.S_ISLNK(mode) else stat.S_IMODE(mode)
    text = f"\0{path}\0{stat.S_IFMT(mode):o}\0{bits:o}\0{owner}\0{size}\0{device}\0"
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
