"""COPY, ADD and WORKDIR on a mounted root file system. Blocking: for a thread."""

from __future__ import annotations

import os
import posixpath
from collections.abc import Sequence
from contextlib import suppress
from typing import BinaryIO, Final

from msgspec import Struct, structs

from moorage.build.files.copy import Copier, Style, is_directory, make_directories
from moorage.build.files.select import Disk, Selected, select
from moorage.build.graph import Copy, CopyAction, MakeDirectory
from moorage.build.ignore import Matcher
from moorage.build.operations import stubs
from moorage.kernel.openat2 import openat2
from moorage.lib.errors import InvalidParameter
from moorage.runtime import users
from moorage.storage.archive import chunks, compression, header
from moorage.storage.archive.extract import extract
from moorage.storage.archive.options import ExtractOptions
from moorage.storage.archive.rooted import Rooted

_BLOCK: Final = 512


class SourceRoot(Struct, frozen=True):
    """An opened source of files."""

    fd: int
    as_root: bool  # owners on disk mean nothing
    linkable: bool = False  # its files never change, so that hard links to them may be made


def copy(root_fd: int, operation: Copy, sources: Sequence[SourceRoot | None]) -> None:
    """Do a COPY or ADD below *root_fd*; *sources* by the number of the input.

    A destination that is a link means what it leads to, as in Docker; a link that is in the way of
    a file inside of the destination is replaced.
    Raises: NotFound (a source), InvalidParameter, OSError.
    """
    owner = _owner(root_fd, operation.owner) if operation.owner is not None else None
    exclude = Matcher(operation.exclude) if operation.exclude else None
    plan = [(action, _selected(action, operation, sources)) for action in operation.actions]
    count = sum(len(items) + len(action.files) for action, items in plan)
    destination = _keep_slash(operation, stubs.resolve(root_fd, operation.destination))
    into = destination.endswith("/") or operation.parents or is_directory(root_fd, destination)
    if count > 1 and not into:
        raise InvalidParameter(
            "When using COPY with more than one source file, the destination must be a directory "
            "and end with a /"
        )
    for action, items in plan:
        source = sources[action.input] if action.input is not None else None
        style = Style(
            owner=owner or ((0, 0) if source is None or source.as_root else None),
            mode=operation.mode,
            exclude=exclude,
            link=source is not None and source.linkable,
        )
        copier = Copier(root_fd, style)
        for file in action.files:
            target = posixpath.join(destination, file.name) if into else destination
            copier.write(file.content.encode("utf-8", "surrogateescape"), target)
        for item in items:
            if source is None:
                continue
            if exclude is not None and not item.is_directory and exclude.excludes(item.target):
                continue
            if action.unpack and not item.is_directory and is_archive(source.fd, item.path):
                _unpack(root_fd, source, item, destination, owner)
            else:
                copier.copy(source.fd, item, destination, into_directory=into)


def copy_below(
    upper_fd: int, seen_fd: int, operation: Copy, sources: Sequence[SourceRoot | None]
) -> tuple[list[str], str] | None:
    """Do a COPY straight into the directory of changes, where nothing of the base is touched.

    That is so if the destination is not there yet, or is an empty directory. Then the files may be
    hard links to the sources. Returns: the directories made on the way, which are to get the looks
    of those of the base that they cover, and the one of the base that has something new in it; None
    if it is not so, and nothing is done. Raises: as ``copy``.
    """
    if operation.owner is not None or any(action.unpack for action in operation.actions):
        return None
    place = stubs.resolve(seen_fd, operation.destination)
    if not _is_free(seen_fd, place or "."):
        return None
    implied: list[str] = []
    top = Rooted(upper_fd, lambda name, _fd: implied.append(name))
    try:
        parent = place.rpartition("/")[0]
        if parent:
            top.directory(parent)
        if place and _exists(seen_fd, place):
            top.directory(place)
    finally:
        top.forget()
    copy(upper_fd, structs.replace(operation, destination=_keep_slash(operation, place)), sources)
    grown = place
    while grown and not _exists(seen_fd, grown):
        grown = grown.rpartition("/")[0]
    return implied, grown


def _keep_slash(operation: Copy, place: str) -> str:
    return f"/{place}/" if place and operation.destination.endswith("/") else f"/{place}"


def _exists(root_fd: int, path: str) -> bool:
    """Say whether *path*, which has no links in it, is there."""
    try:
        os.close(openat2(root_fd, path, os.O_PATH | os.O_NOFOLLOW))
    except (FileNotFoundError, NotADirectoryError):
        return False
    return True


def _is_free(root_fd: int, path: str) -> bool:
    """Say whether *path* is not there, or is an empty directory."""
    try:
        fd = openat2(root_fd, path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    except FileNotFoundError:
        return True
    except OSError:
        return False
    try:
        return not os.listdir(fd)
    finally:
        os.close(fd)


def _selected(
    action: CopyAction, operation: Copy, sources: Sequence[SourceRoot | None]
) -> list[Selected]:
    source = sources[action.input] if action.input is not None else None
    if source is None:
        return []
    return [
        item
        for path in action.paths
        for item in select(
            Disk(source.fd), path, parents=operation.parents, required=action.required
        )
    ]


def make_directory(root_fd: int, operation: MakeDirectory) -> None:
    """Do a WORKDIR: what is made belongs to USER, to root if there is no such user (yet).

    Raises: InvalidParameter (something is in the way).
    """
    owner = (0, 0)
    if operation.owner is not None:
        with suppress(InvalidParameter):
            owner = _owner(root_fd, operation.owner)
    os.close(make_directories(root_fd, operation.path, owner=owner))


def _owner(root_fd: int, text: str) -> tuple[int, int]:
    """Resolve ``user[:group]``; a lone number is the group's too. Raises: InvalidParameter."""
    found = users.look_up(text, users.read_user_files(root_fd))
    return (found.uid, found.uid if text.isdigit() else found.gid)


def is_archive(root_fd: int, path: str) -> bool:
    """Say whether the file is a tar, plain or compressed."""
    with _opened(root_fd, path) as file:
        try:
            _, plain = compression.decompress(chunks.of_file(file))
            head = chunks.ChunkReader(plain).take(_BLOCK)
            if len(head) == _BLOCK:
                header.parse(head)
        except (InvalidParameter, EOFError, ValueError):
            return False
    return len(head) == _BLOCK


def _unpack(
    root_fd: int,
    source: SourceRoot,
    item: Selected,
    destination: str,
    owner: tuple[int, int] | None,
) -> None:
    os.close(make_directories(root_fd, destination, owner=owner or (0, 0)))
    with _opened(source.fd, item.path) as file:
        _, plain = compression.decompress(chunks.of_file(file))
        extract(root_fd, destination, plain, ExtractOptions(owner=owner))


def _opened(root_fd: int, path: str) -> BinaryIO:
    return os.fdopen(openat2(root_fd, path, os.O_RDONLY | os.O_NONBLOCK), "rb")
