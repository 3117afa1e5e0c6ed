"""The names that a client says its directory has, checked. Pure.

A client may say anything. What is taken on: relative names without ``.``, ``..`` or empty parts,
each once, each in a directory that was named before it (so no name leads through a link), and of
the kinds that a build context can hold. The content comes as an archive later and goes through the
archive reader, as any other; this list is what the kept context is compared with and what its
files are asked for by.
"""

from __future__ import annotations

import stat
from dataclasses import dataclass, field
from typing import Final

from moorage.build.contexts import FileFact
from moorage.buildkit.session import gomode
from moorage.buildkit.wire.session import Stat
from moorage.lib.errors import InvalidParameter

_NAME_LIMIT: Final = 255  # bytes, NAME_MAX
_PATH_LIMIT: Final = 4000  # bytes, below PATH_MAX
_COUNT_LIMIT: Final = 2_000_000
_HELD: Final = frozenset({stat.S_IFREG, stat.S_IFDIR, stat.S_IFLNK})


@dataclass(slots=True)
class Tree:
    """What the client has named so far."""

    facts: list[FileFact] = field(default_factory=list)
    numbers: dict[str, int] = field(default_factory=dict)  # by which content is asked for
    hard_links: dict[str, str] = field(default_factory=dict)  # name -> the file's first name
    _kinds: dict[str, int] = field(default_factory=lambda: {"": stat.S_IFDIR})
    _count: int = 0

    def add(self, told: Stat) -> None:
        """Take a name on. Raises: InvalidParameter."""
        number, self._count = self._count, self._count + 1
        if self._count > _COUNT_LIMIT:
            raise InvalidParameter(f"the build context has more than {_COUNT_LIMIT} files")
        path = told.path
        _check_name(path)
        if path in self._kinds:
            raise InvalidParameter(f"the build context names {path!r} twice")
        if self._kinds.get(path.rpartition("/")[0]) != stat.S_IFDIR:
            raise InvalidParameter(f"the build context has {path!r} outside of any directory")
        mode = gomode.to_kernel(told.mode)
        kind = stat.S_IFMT(mode or 0)
        if mode is None or kind not in _HELD:
            return  # sockets, devices and pipes are no part of a context
        if told.size < 0:
            raise InvalidParameter(f"the build context has {path!r} of negative size")
        self._kinds[path] = kind
        self.numbers[path] = number
        size = told.size if kind == stat.S_IFREG else 0
        if kind == stat.S_IFREG and told.link:
            self._link(path, told.link)
        elif kind == stat.S_IFLNK and (not told.link or "\0" in told.link):
            raise InvalidParameter(f"the build context has the link {path!r} without a target")
        link = told.link if kind != stat.S_IFDIR else ""
        self.facts.append(FileFact(path, mode, size, told.mtime_ns, link))

    def _link(self, path: str, first: str) -> None:
        first = first.removeprefix("/")
        if self._kinds.get(first) != stat.S_IFREG or first in self.hard_links:
            raise InvalidParameter(
                f"the build context has {path!r} as a link to {first!r}, no file of it"
            )
        self.hard_links[path] = first


def _check_name(path: str) -> None:
    encoded = path.encode("utf-8", "surrogateescape")
    parts = encoded.split(b"/")
    if (
        b"\0" in encoded
        or len(encoded) > _PATH_LIMIT
        or any(part in {b"", b".", b".."} or len(part) > _NAME_LIMIT for part in parts)
    ):
        raise InvalidParameter(f"the build context has an illegal name: {path[:200]!r}")
