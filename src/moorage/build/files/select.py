"""Which files a source of COPY means: wildcards expanded below a root, as Docker does."""

from __future__ import annotations

import difflib
import os
import posixpath
import re
import stat
from collections.abc import Iterator
from functools import lru_cache
from typing import Final, Protocol

from msgspec import Struct

from moorage.build.ignore import Matcher, translate
from moorage.kernel.openat2 import openat2
from moorage.lib.errors import NotFound

PIVOT: Final = "/./"  # with --parents: what stands before it is not recreated
_WILD: Final = re.compile(r"[*?\[\\]")
_NEAR: Final = 3  # suggestions for a missing file


class Selected(Struct, frozen=True):
    """A file or directory to copy."""

    path: str  # relative to the root, "" = the root itself
    target: str  # where it goes below the destination: a name, or a path with --parents
    is_directory: bool
    keeps_path: bool = False  # --parents: a directory is copied as itself, not only its content


class Tree(Protocol):
    """Files below a root, links resolved inside of it; ``""`` is the root itself."""

    def mode(self, path: str) -> int | None:
        """Return the mode with the kind, the last link followed; None if nothing is there."""

    def own_mode(self, path: str) -> int | None:
        """Return it with the last link not followed."""

    def names(self, directory: str) -> list[str]:
        """Return what *directory* holds; nothing if it is none."""


class Disk:
    """The files below an open directory."""

    def __init__(self, root_fd: int) -> None:
        self._root = root_fd

    def mode(self, path: str) -> int | None:
        """Return the mode with the kind, the last link followed; None if nothing is there."""
        return self._status(path, os.O_PATH)

    def own_mode(self, path: str) -> int | None:
        """Return it with the last link not followed."""
        return self._status(path, os.O_PATH | os.O_NOFOLLOW)

    def names(self, directory: str) -> list[str]:
        """Return what *directory* holds; nothing if it is none."""
        try:
            fd = openat2(self._root, directory or ".", os.O_RDONLY | os.O_DIRECTORY)
        except (FileNotFoundError, NotADirectoryError):
            return []
        try:
            return os.listdir(fd)
        finally:
            os.close(fd)

    def _status(self, path: str, flags: int) -> int | None:
        try:
            fd = openat2(self._root, path or ".", flags)
        except (FileNotFoundError, NotADirectoryError):
            return None
        try:
            return os.fstat(fd).st_mode
        finally:
            os.close(fd)


def select(
    tree: Tree, path: str, *, parents: bool = False, required: bool = True
) -> list[Selected]:
    """Return what *path*, which may hold wildcards, names in *tree*.

    Raises: NotFound (nothing; names near matches).
    """
    pivoted = parents and PIVOT in path
    before, _, after = path.partition(PIVOT) if pivoted else ("", "", path)
    prefix = _plain(before)
    relative = _plain(f"{prefix}/{after}")
    if _WILD.search(relative):
        names = sorted(_expand(tree, "", relative.split("/")))
    else:
        names = [relative] if tree.mode(relative) is not None else []
    found: list[Selected] = []
    for name in names:
        mode = tree.mode(name)
        if mode is None:
            continue
        is_directory = stat.S_ISDIR(mode)
        target = posixpath.basename(name)
        if parents:
            target = name[len(prefix) :].strip("/") if prefix else name
        found.append(Selected(name, target, is_directory, keeps_path=parents))
    if not found and required:
        raise _missing(tree, relative)
    return found


def _plain(path: str) -> str:
    return "/".join(part for part in path.split("/") if part not in {"", "."})


@lru_cache(maxsize=256)
def _component(pattern: str) -> re.Pattern[str]:
    return re.compile(translate(pattern), re.DOTALL)


def _expand(tree: Tree, base: str, parts: list[str]) -> Iterator[str]:
    """Yield what matches *parts* below *base*."""
    if not parts:
        yield base
        return
    head, rest = parts[0], parts[1:]
    if head == "**":
        yield from _expand(tree, base, rest) if rest else ()
        for name in tree.names(base):
            child = posixpath.join(base, name)
            mode = tree.own_mode(child)
            if mode is not None and stat.S_ISDIR(mode):
                yield from _expand(tree, child, parts)
            elif not rest:
                yield child
        return
    if not _WILD.search(head):
        child = posixpath.join(base, head)
        if tree.mode(child) is not None:
            yield from _expand(tree, child, rest)
        return
    expression = _component(head)
    for name in tree.names(base):
        if expression.match(name):
            yield from _expand(tree, posixpath.join(base, name), rest)


def _missing(tree: Tree, path: str) -> NotFound:
    """Say what is missing, and what is there that looks like it."""
    parent, name = posixpath.split(path)
    while parent and tree.mode(parent) is None:
        parent, name = posixpath.split(parent)
    near = difflib.get_close_matches(name, tree.names(parent), n=_NEAR, cutoff=0.6)
    hint = None
    if near:
        hint = "near matches: " + ", ".join(posixpath.join("/", parent, name) for name in near)
    return NotFound(f'"/{path}": not found', hint=hint)


def walk(
    directory_fd: int, matcher: Matcher | None = None, prefix: str = ""
) -> Iterator[tuple[int, str, str, os.stat_result]]:
    """Yield (descriptor of the parent, name, path below the top, status), in order of names.

    Links are not followed. A directory comes before what it holds. What *matcher* excludes is left
    out. The descriptor is valid until the next step of the iteration.
    """
    with os.scandir(directory_fd) as entries:
        found = [(entry.name, entry.stat(follow_symlinks=False)) for entry in entries]
    found.sort(key=lambda pair: pair[0])
    for name, status in found:
        path = f"{prefix}/{name}" if prefix else name
        is_directory = stat.S_ISDIR(status.st_mode)
        excluded = matcher is not None and matcher.excludes(path)
        if not excluded:
            yield directory_fd, name, path, status
        if is_directory and not (matcher is not None and matcher.prunes(path)):
            flags = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
            child = os.open(name, flags, dir_fd=directory_fd)
            try:
                yield from walk(child, matcher, path)
            finally:
                os.close(child)
