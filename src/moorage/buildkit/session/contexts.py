"""Build contexts out of the client's directories: kept ones brought up to date, small files read.

The files travel on as an archive, so that one reader and its guards stand before every context,
whichever way it comes.
"""

from __future__ import annotations

import hashlib
import posixpath
import stat
from collections.abc import AsyncIterator, Iterable, Sequence
from typing import Final

from moorage.build.contextfiles import ContextFiles
from moorage.build.contexts import Contexts, FileFact
from moorage.build.operations import whole
from moorage.buildkit.session import filesync
from moorage.buildkit.session.filesync import Arrived, Directory
from moorage.buildkit.session.links import Link
from moorage.lib.errors import InvalidParameter
from moorage.storage.archive import entry as kinds
from moorage.storage.archive import header
from moorage.storage.archive.entry import Entry

_SMALL_LIMIT: Final = 4 << 20  # bytes of a Dockerfile or an ignore file
_LINK_LIMIT: Final = 40  # links followed one after the other, as the kernel
_END: Final = bytes(2 * header.BLOCK)


async def receive(
    contexts: Contexts,
    link: Link,
    name: str,
    *,
    exclude: Iterable[str] = (),
    arrived: Arrived = lambda _: None,
) -> ContextFiles:
    """Bring the kept copy of the client's directory *name* up to date, and return it.

    Raises: InvalidParameter, System (the disk is full), CallFailed, ConnectionError.
    Cancel: nothing half-done is used again.
    """
    async with filesync.open_directory(link, name, exclude=exclude, arrived=arrived) as directory:
        facts = directory.tree.facts
        update, wanted = await contexts.compare(_key(link, name), facts)
        chosen = set(wanted)
        body = _archive(directory, [fact for fact in facts if fact.path in chosen])
        files = await update.finish(body)
        try:
            await directory.finish()
        except BaseException:
            await whole.blocking(files.leave)
            raise
    return files


def _key(link: Link, name: str) -> str:
    """Return what the directory is known by from build to build; "" if it cannot be known."""
    if not link.shared_key:
        return ""
    return hashlib.sha256(f"{link.shared_key}\0{name}".encode()).hexdigest()[:40]


async def _archive(directory: Directory, facts: Sequence[FileFact]) -> AsyncIterator[bytes]:
    """Yield a tar of *facts*."""
    links = directory.tree.hard_links
    with_content = [
        (fact.path, fact.size)
        for fact in facts
        if stat.S_ISREG(fact.mode) and fact.size and fact.path not in links
    ]
    contents = directory.contents(with_content)
    for fact in facts:
        kind = kinds.kind_of(fact.mode) or kinds.REGULAR
        member = Entry(
            name=fact.path,
            kind=kind,
            mode=stat.S_IMODE(fact.mode),
            mtime_ns=fact.mtime_ns - fact.mtime_ns % 1_000_000_000,  # the exact one is set later
        )
        if fact.path in links:
            member.kind, member.link = kinds.HARD_LINK, links[fact.path]
        elif kind == kinds.SYMLINK:
            member.link = fact.link
        else:
            member.size = member.stored = fact.size
        yield header.format_entry(member)
        if member.size:
            _, pieces = await anext(contents)
            async for piece in pieces:
                yield piece
            if padding := -member.size % header.BLOCK:
                yield bytes(padding)
    yield _END


async def read_small(link: Link, name: str, paths: Sequence[str]) -> dict[str, bytes]:
    """Return what the client's directory *name* has at *paths*; links are followed inside of it.

    Raises: InvalidParameter (no regular file, or too large), CallFailed, ConnectionError.
    """
    async with filesync.open_directory(link, name, only=paths) as directory:
        facts = {fact.path: fact for fact in directory.tree.facts}
        found = {path: _target(facts, path) for path in paths}
        first = directory.tree.hard_links
        wanted: dict[str, int] = {}
        for path, fact in found.items():
            if fact is None:
                continue
            if not stat.S_ISREG(fact.mode):
                raise InvalidParameter(f"{path} of the build context is not a regular file")
            if fact.size > _SMALL_LIMIT:
                raise InvalidParameter(
                    f"{path} of the build context is larger than {_SMALL_LIMIT} bytes"
                )
            if fact.size:
                wanted[first.get(fact.path, fact.path)] = fact.size
        contents = {"": b""}
        async for path, pieces in directory.contents(list(wanted.items())):
            contents[path] = b"".join([piece async for piece in pieces])
        await directory.finish()
    return {
        path: contents.get(first.get(fact.path, fact.path), b"")
        for path, fact in found.items()
        if fact is not None
    }


def _target(facts: dict[str, FileFact], path: str) -> FileFact | None:
    """Return what is at *path*, links followed as far as the client has told of them."""
    at = posixpath.normpath(f"/{path}").lstrip("/")
    for _ in range(_LINK_LIMIT):
        linked = next(
            (
                fact
                for part in _prefixes(at)
                if (fact := facts.get(part)) is not None and stat.S_ISLNK(fact.mode)
            ),
            None,
        )
        if linked is None:
            return facts.get(at)
        parent = posixpath.dirname(linked.path)
        rest = at[len(linked.path) :]
        at = posixpath.normpath(f"/{posixpath.join(parent, linked.link)}{rest}").lstrip("/")
    raise InvalidParameter(f"{path} of the build context: too many levels of symbolic links")


def _prefixes(path: str) -> list[str]:
    parts = path.split("/")
    return ["/".join(parts[:count]) for count in range(1, len(parts) + 1)]
