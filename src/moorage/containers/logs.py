"""``logs``: what the container has written, and what it writes."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import TYPE_CHECKING

from moorage.lib.errors import NotImplemented_
from moorage.logs import reader
from moorage.logs.selection import Run, Selection

if TYPE_CHECKING:
    from moorage.containers.container import Container


def read(container: Container, selection: Selection) -> AsyncIterator[Run]:
    """Return the records; following ends with the container's process.

    Raises: NotImplemented_ (the driver's logs cannot be read), in Docker's words.
    """
    record = container.record
    driver = record.host_config.log_config.type if record.host_config.log_config else ""
    if not record.log_path or not reader.is_readable(driver):
        raise NotImplemented_("configured logging driver does not support reading")
    ended = asyncio.Event()
    if container.alive:
        exit_ = container.waiters.next_exit()
        exit_.add_done_callback(lambda _: ended.set())
    else:
        ended.set()
    return reader.read(driver, Path(record.log_path), selection, ended=ended)
