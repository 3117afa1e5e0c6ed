"""A directory that is a link every other moment: the races that attackers run."""

from __future__ import annotations

import ctypes
import functools
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

AT_FDCWD = -100
RENAME_EXCHANGE = 2


@contextmanager
def swapping(directory: Path, target: str) -> Iterator[None]:
    """Swap *directory*/d between a directory and a link to *target*, all the while."""
    done = threading.Event()
    place, link = directory / "d", directory / "link"
    place.mkdir()
    link.symlink_to(target)
    exchange = functools.partial(ctypes.CDLL(None).renameat2, AT_FDCWD, bytes(place))

    def swap() -> None:
        while not done.is_set():
            exchange(AT_FDCWD, bytes(link), RENAME_EXCHANGE)

    thread = threading.Thread(target=swap)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()
