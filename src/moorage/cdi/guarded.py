"""Opens files that nobody but root can have written.

What a CDI file says is done by root on the host: programs are run, devices and directories are
shown to containers. So whoever can change such a file, a directory on the way to it or a link there
is root, and that must be root alone (hooks of device vendors: CVE-2024-0132, CVE-2025-23266).
"""

from __future__ import annotations

import errno
import os
import stat
from typing import Final

from moorage.lib.errors import Forbidden

_MAX_LINKS: Final = 40
_OTHERS_WRITE: Final = 0o022  # an ACL that lets others write shows in the group's bits


def open_guarded(path: str, flags: int) -> int:
    """Open *path*; the caller owns the descriptor.

    Raises: Forbidden (others than root could change it, or where it leads), OSError.
    """
    place = resolve(path)
    fd = os.open(place, flags | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK)
    try:
        _require(os.fstat(fd), place, shared=False)
    except BaseException:
        os.close(fd)
        raise
    return fd


def resolve(path: str) -> str:
    """Return where *path* leads, each step of it guarded; only the last may not be a directory.

    Raises: Forbidden, OSError.
    """
    done, links = "/", 0
    rest = [part for part in path.split("/") if part]
    _require(os.lstat(done), done, shared=bool(rest))
    while rest:
        part = rest.pop(0)
        if part in {".", ".."}:
            done = os.path.dirname(done) if part == ".." else done
            continue
        here = os.path.join(done, part)
        status = os.lstat(here)
        _require(status, here, shared=bool(rest))
        if not stat.S_ISLNK(status.st_mode):
            done = here
            continue
        links += 1
        if links > _MAX_LINKS:
            raise OSError(errno.ELOOP, os.strerror(errno.ELOOP), path)
        target = os.readlink(here)
        done = "/" if target.startswith("/") else done
        rest = [p for p in target.split("/") if p] + rest
    return done


def _require(status: os.stat_result, path: str, *, shared: bool) -> None:
    """Refuse what others may change; *shared*: a sticky directory will do, as its entries are."""
    if status.st_uid not in {0, os.geteuid()}:
        raise Forbidden(f"{path} belongs to user {status.st_uid}, not to root")
    if stat.S_ISLNK(status.st_mode) or not status.st_mode & _OTHERS_WRITE:
        return
    if not (shared and stat.S_ISDIR(status.st_mode) and status.st_mode & stat.S_ISVTX):
        raise Forbidden(f"{path} can be written by others than root")
