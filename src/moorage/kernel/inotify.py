"""inotify(7): be told that a file changes."""

from __future__ import annotations

import asyncio
import ctypes
import os
from pathlib import Path
from typing import Final

IN_MODIFY: Final = 0x2  # linux/inotify.h
IN_DELETE_SELF: Final = 0x400
IN_MOVE_SELF: Final = 0x800

_libc: Final = ctypes.CDLL(None, use_errno=True)
_libc.inotify_add_watch.argtypes = (ctypes.c_int, ctypes.c_char_p, ctypes.c_uint32)
_EVENTS_SIZE: Final = 4096


class Inotify:
    """One inotify instance, waited for by one task; what changed is not told, only that."""

    def __init__(self) -> None:
        fd = _libc.inotify_init1(os.O_NONBLOCK | os.O_CLOEXEC)
        if fd < 0:
            number = ctypes.get_errno()
            raise OSError(number, os.strerror(number), "inotify_init1")
        self._fd: int = fd

    def watch(self, path: Path, mask: int) -> None:
        """Add a watch of *path*.

        Raises: FileNotFoundError, OSError.
        """
        if _libc.inotify_add_watch(self._fd, os.fsencode(path), mask) < 0:
            number = ctypes.get_errno()
            raise OSError(number, os.strerror(number), str(path))

    async def wait_change(self) -> None:
        """Wait until something has changed since the last call."""
        if self._drain():
            return
        loop = asyncio.get_running_loop()
        changed: asyncio.Future[None] = loop.create_future()

        def ready() -> None:
            if not changed.done():
                changed.set_result(None)

        loop.add_reader(self._fd, ready)
        try:
            await changed
        finally:
            loop.remove_reader(self._fd)
        self._drain()

    def _drain(self) -> bool:
        found = False
        while True:
            try:
                found = bool(os.read(self._fd, _EVENTS_SIZE)) or found
            except BlockingIOError:
                return found

    def close(self) -> None:
        """Close; ends all its watches."""
        os.close(self._fd)
