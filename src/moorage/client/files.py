"""The little that the client needs of ``os`` and ``os.path``, which cost a millisecond to load."""

from __future__ import annotations

import posix

_KIND = 0o170000
_DIRECTORY = 0o040000
_REGULAR = 0o100000


def exists(path: str) -> bool:
    """Tell whether something is there, links followed."""
    return _kind(path) != 0


def is_directory(path: str) -> bool:
    """Tell whether a directory is there, links followed."""
    return _kind(path) == _DIRECTORY


def is_file(path: str) -> bool:
    """Tell whether a regular file is there, links followed."""
    return _kind(path) == _REGULAR


def normal(path: str) -> str:
    """Return *path* without empty and dot components, ``..`` taken back where that is known."""
    root = "/" if path.startswith("/") else ""
    parts: list[str] = []
    for part in path.split("/"):
        if part == ".." and parts and parts[-1] != "..":
            parts.pop()
        elif part not in {"", "."} and not (part == ".." and root):
            parts.append(part)
    return root + "/".join(parts) or "."


def base(path: str) -> str:
    """Return the last component of *path*, empty for the root."""
    return normal(path).rpartition("/")[2]


def make_directories(path: str, mode: int) -> None:
    """Make a directory and what is missing above it."""
    if is_directory(path):
        return
    parent = path.rstrip("/").rpartition("/")[0]
    if parent:
        make_directories(parent, mode)
    try:
        posix.mkdir(path, mode)
    except FileExistsError:
        if not is_directory(path):
            raise


def _kind(path: str) -> int:
    try:
        return posix.stat(path).st_mode & _KIND
    except (OSError, ValueError):
        return 0
