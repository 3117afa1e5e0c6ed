"""``logs``: what the container has written, and what it writes."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing
from pathlib import Path
from typing import TYPE_CHECKING

from moorage.lib.errors import NotImplemented_
from moorage.logs import reader
from moorage.logs.selection import Run, Selection

if TYPE_CHECKING:
    from moorage.containers.container import Container


def read(container: Container, selection: Selection) -> AsyncGenerator[Run, None]:
    """Return the records; following ends with the container's process.

    Raises: NotImplemented_ (the driver's logs cannot be read), in Docker's words.
    """
    record = container.record
    driver = record.host_config.log_config.type if record.host_config.log_config else ""
    if not record.log_path or not reader.is_readable(driver):
        raise NotImplemented_("configured logging driver does not support reading")
    path = Path(record.log_path)
    if selection.follow and container.alive:
        return _follow(container, driver, path, selection)
    ended = asyncio.Event()
    ended.set()
    return reader.read(driver, path, selection, ended=ended)


async def _follow(
    container: Container, driver: str, path: Path, selection: Selection
) -> AsyncGenerator[Run, None]:
    ended = asyncio.Event()
    exit_ = container.waiters.next_exit()
    exit_.add_done_callback(lambda _: ended.set())
    if not container.alive:  # it has ended before anybody read
        ended.set()
    try:
        async with aclosing(reader.read(driver, path, selection, ended=ended)) as runs:
            async for run in runs:
                yield run
    finally:
        exit_.cancel()
