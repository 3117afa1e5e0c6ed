"""Copies of programs in memory that nobody can change.

crun takes care that a container cannot write to it through ``/proc/<pid>/exe`` (CVE-2019-5736):
unless it runs from a sealed file it mounts itself read-only, unmounts that again, for which the
kernel waits for all processors (1 ms on an idle machine, 15 on a busy one), and executes a second
time. Run from a sealed copy it does none of this.
"""

from __future__ import annotations

import fcntl
import os
from typing import Final

MFD_EXEC: Final = 0x10  # linux/memfd.h, since 6.3
_SEALS: Final = fcntl.F_SEAL_SEAL | fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW | fcntl.F_SEAL_WRITE
_CHUNK: Final = 1 << 20

_Identity = tuple[int, int, int, int]


class SealedCopies:
    """One copy of each program that is asked for; made anew when the program's file is another."""

    def __init__(self) -> None:
        self._copies: dict[str, tuple[_Identity, int]] = {}

    def of(self, path: str) -> int | None:
        """Return the descriptor of a copy of the program at *path*, valid until ``close``.

        None where the program cannot be read or the kernel allows no such files.
        """
        try:
            found = os.stat(path)
            identity = (found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns)
            known = self._copies.get(path)
            if known is not None and known[0] == identity:
                return known[1]
            copy = _seal(path)
        except OSError:
            return None
        if known is not None:
            os.close(known[1])
        self._copies[path] = (identity, copy)
        return copy

    def close(self) -> None:
        """Close the copies; processes that run from them go on."""
        for _, copy in self._copies.values():
            os.close(copy)
        self._copies.clear()


def _seal(path: str) -> int:
    copy = _memory_file(os.path.basename(path))
    try:
        source = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        try:
            while os.sendfile(copy, source, None, _CHUNK):
                pass
        finally:
            os.close(source)
        fcntl.fcntl(copy, fcntl.F_ADD_SEALS, _SEALS)
    except BaseException:
        os.close(copy)
        raise
    return copy


def _memory_file(name: str) -> int:
    flags = os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING
    try:
        return os.memfd_create(name, flags | MFD_EXEC)
    except OSError:
        return os.memfd_create(name, flags)  # an older kernel's can always be executed
