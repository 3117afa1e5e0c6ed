"""Directories below a root, by descriptor: every way there is resolved inside the root."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from typing import Final

from moorage.kernel.openat2 import openat2
from moorage.lib.errors import InvalidParameter

DIRECTORY: Final = os.O_RDONLY | os.O_DIRECTORY
_NOFOLLOW_DIRECTORY: Final = DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_OPEN_LIMIT: Final = 64  # directories kept open by one extraction

OnImplied = Callable[[str, int], None]


class Rooted:
    """The directories below *root_fd*, kept open (a few of them) under their cleaned names.

    A name stays valid until something that is a directory or a symbolic link is removed: whoever
    does that calls ``forget``.
    """

    def __init__(self, root_fd: int, on_implied: OnImplied | None = None) -> None:
        self.root_fd = root_fd
        self._on_implied = on_implied
        self._open: dict[str, int] = {}

    def directory(self, name: str) -> int:
        """Return a descriptor of directory *name*, made with its parents if it is not there.

        The descriptor is lent until the next call. Raises: InvalidParameter, OSError.
        """
        fd = self._open.get(name)
        if fd is not None:
            return fd
        if not name:
            return self.root_fd
        try:
            fd = openat2(self.root_fd, name, DIRECTORY)
        except FileNotFoundError:
            fd = self._make(name)
        except OSError as error:
            if error.errno in {errno.ENOTDIR, errno.ELOOP}:
                raise InvalidParameter(f"invalid archive: {name!r} is no directory") from error
            raise
        self._keep(name, fd)
        return fd

    def adopt(self, name: str, parent: int, last: str) -> int:
        """Open and keep directory *last* of *parent*, known as *name*; a link is not followed."""
        fd = os.open(last, _NOFOLLOW_DIRECTORY, dir_fd=parent)
        self._keep(name, fd)
        return fd

    def forget(self) -> None:
        """Close all kept directories."""
        for fd in self._open.values():
            os.close(fd)
        self._open.clear()

    def _keep(self, name: str, fd: int) -> None:
        if (old := self._open.pop(name, None)) is not None:
            os.close(old)
        if len(self._open) >= _OPEN_LIMIT:
            os.close(self._open.pop(next(iter(self._open))))
        self._open[name] = fd

    def _make(self, name: str) -> int:
        """Make directory *name*, which an archive implies without listing it, and its parents."""
        missing = [name]
        fd = -1
        while fd < 0:
            upper = missing[-1].rpartition("/")[0]
            try:
                fd = openat2(self.root_fd, upper or ".", DIRECTORY)
            except FileNotFoundError:
                missing.append(upper)
        for path in reversed(missing):
            above, last = fd, path.rpartition("/")[2]
            try:
                os.mkdir(last, 0o755, dir_fd=above)
                fd = os.open(last, _NOFOLLOW_DIRECTORY, dir_fd=above)
            except FileExistsError as error:  # a link to nowhere
                raise InvalidParameter(f"invalid archive: {path!r} is no directory") from error
            finally:
                os.close(above)
            os.fchmod(fd, 0o755)
            if self._on_implied is not None:
                self._on_implied(path, fd)
        return fd
