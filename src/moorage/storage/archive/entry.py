"""One member of a tar archive, and the names inside one."""

from __future__ import annotations

import stat
from typing import Final

from msgspec import Struct

from moorage.lib.errors import InvalidParameter

REGULAR: Final = "0"
HARD_LINK: Final = "1"
SYMLINK: Final = "2"
CHARACTER: Final = "3"
BLOCK: Final = "4"
DIRECTORY: Final = "5"
FIFO: Final = "6"

WHITEOUT_PREFIX: Final = ".wh."
WHITEOUT_META_PREFIX: Final = ".wh..wh."
OPAQUE_MARKER: Final = ".wh..wh..opq"

_FILE_TYPES: Final = {
    stat.S_IFREG: REGULAR,
    stat.S_IFLNK: SYMLINK,
    stat.S_IFCHR: CHARACTER,
    stat.S_IFBLK: BLOCK,
    stat.S_IFDIR: DIRECTORY,
    stat.S_IFIFO: FIFO,
}


class Entry(Struct):
    """A member as its header says, extended headers included. Names are not yet to be trusted."""

    name: str
    kind: str  # one of the constants above
    mode: int = 0o644  # permission bits, set-id and sticky
    uid: int = 0
    gid: int = 0
    size: int = 0  # bytes of the file
    stored: int = 0  # bytes in the archive; fewer than *size* for a sparse file
    mtime_ns: int = 0
    link: str = ""
    major: int = 0
    minor: int = 0
    user: str = ""
    group: str = ""
    xattrs: dict[str, bytes] | None = None
    sparse: list[tuple[int, int]] | None = None  # (offset, length) of what is not a hole


def kind_of(mode: int) -> str | None:
    """Return the member kind for st_mode; None for a socket, which tar cannot hold."""
    return _FILE_TYPES.get(stat.S_IFMT(mode))


def clean(name: str) -> str:
    """Return *name* relative, without ``.``, ``..`` and empty parts; the root is ``""``.

    Raises: InvalidParameter, if it would leave the root or cannot be a path.
    """
    if "\0" in name:
        raise InvalidParameter(f"invalid archive: the name {name[:100]!r} contains a zero byte")
    if "/." not in name and "//" not in name and name[:1] not in {"/", "."} and name[-1:] != "/":
        return name
    parts: list[str] = []
    for part in name.split("/"):
        if part in {"", "."}:
            continue
        if part == "..":
            if not parts:
                raise InvalidParameter(
                    f"invalid archive: {name[:200]!r} points outside of the archive's root"
                )
            parts.pop()
        else:
            parts.append(part)
    return "/".join(parts)
