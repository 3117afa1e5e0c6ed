"""``logs``: from the files of a container to what a client sees, following if wanted."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Coroutine
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

from moorage.kernel import inotify
from moorage.lib import clock, offload
from moorage.lib.errors import NotImplemented_
from moorage.logs.codec import Codec
from moorage.logs.generations import Mark, Opened, begin_of_tail, close_all, open_unread
from moorage.logs.jsonfile import JsonFile
from moorage.logs.local import Local
from moorage.logs.selection import Run, Selection, render

CODECS: Final[dict[str, Codec[Any]]] = {"json-file": JsonFile(), "local": Local()}
_BLOCK: Final = 1 << 18  # bytes read at once
_APPEAR_S: Final = 0.01
_RECHECK_S: Final = 5.0  # should an event be missed (a file system without inotify)


def is_readable(driver: str) -> bool:
    """Whether ``logs`` can show what *driver* has written."""
    return driver in CODECS


async def read(
    driver: str, path: Path, selection: Selection, *, ended: asyncio.Event | None = None
) -> AsyncGenerator[Run, None]:
    """Yield the records of the log at *path*, in runs of one stream.

    Following goes on over rotations until *ended* is set and all has been read, or the time
    ``until_ns`` has come; nothing is lost while the reader lags, but what was rotated away.
    Raises: NotImplemented_ (the driver's logs cannot be read), in Docker's words.
    """
    codec = CODECS.get(driver)
    if codec is None:
        raise NotImplemented_("configured logging driver does not support reading")
    reader = _Reader(codec, path, selection, ended)
    try:
        async for shown in reader.run():
            yield shown
    finally:
        reader.close()


class _Reader:
    """One pass over the files of a log."""

    def __init__(
        self, codec: Codec[Any], path: Path, selection: Selection, ended: asyncio.Event | None
    ) -> None:
        self._codec = codec
        self._path = path
        self._selection = selection
        self._ended = ended or asyncio.Event()
        self._over = clock.deadline(selection.until_ns) if selection.until_ns else None
        self._opened: list[Opened] = []  # oldest first; the last is the one written to
        self._left: list[Opened] = []  # the last one read: open, so that its inode stays its own
        self._rest = b""  # the beginning of a record
        self._inotify: inotify.Inotify | None = None

    async def run(self) -> AsyncIterator[Run]:
        await offload.run("fs", self._plan)
        mark = Mark()
        while True:
            while self._opened:
                following = self._selection.follow and len(self._opened) == 1
                async for shown in self._follow() if following else self._read_on():
                    yield shown
                mark = self._leave_file()
            if not self._selection.follow:
                return
            finishing = self._is_finished()
            self._opened = await offload.run("fs", open_unread, self._path, mark)
            if not self._opened:
                if finishing:
                    return
                await asyncio.sleep(_APPEAR_S)

    def close(self) -> None:
        close_all(self._opened)
        close_all(self._left)
        if self._inotify is not None:
            self._inotify.close()

    def _plan(self) -> None:
        """Open what is to be read, and go to where it begins. Blocking."""
        self._opened = open_unread(self._path, Mark())
        if self._selection.since_ns:
            while len(self._opened) > 1 and (
                self._opened[0].generation.modified_ns < self._selection.since_ns
            ):
                close_all([self._opened.pop(0)])
        if self._selection.tail is not None and self._opened:
            first, begin = begin_of_tail(self._opened, self._codec, self._selection.tail)
            close_all(self._opened[:first])
            self._opened = self._opened[first:]
            for opened in self._opened:
                opened.file.seek(0)
            self._opened[0].file.seek(begin)

    async def _read_on(self) -> AsyncIterator[Run]:
        """Read from where the file stands to its end."""
        file = self._opened[0].file
        while block := await offload.run("fs", file.read, _BLOCK):
            buffer = self._rest + block
            whole = self._codec.whole(buffer)
            self._rest = buffer[whole:]
            entries = self._codec.decode(buffer[:whole])
            for shown in render(entries, self._selection, self._codec.texts):
                yield shown

    def _leave_file(self) -> Mark:
        """Put the file aside that has been read; return how far that is."""
        opened = self._opened.pop(0)
        close_all(self._left)
        self._left = [opened]
        self._rest = b""
        return Mark(opened.modified_ns(), opened.generation.inode)

    async def _follow(self) -> AsyncIterator[Run]:
        """Read on until another file takes the place of this one, or the log has ended."""
        if self._inotify is None:
            self._inotify = inotify.Inotify()
        while True:
            finishing = self._is_finished()
            self._watch()
            async for shown in self._read_on():
                yield shown
            if await offload.run("fs", self._was_replaced):
                async for shown in self._read_on():  # what came just before the replacement
                    yield shown
                return
            if finishing:
                return
            await self._wait_change()

    def _is_finished(self) -> bool:
        return self._ended.is_set() or (self._over is not None and clock.monotonic() > self._over)

    def _watch(self) -> None:
        assert self._inotify is not None  # noqa: S101 - made by _follow
        mask = inotify.IN_MODIFY | inotify.IN_MOVE_SELF | inotify.IN_DELETE_SELF
        with suppress(FileNotFoundError):
            self._inotify.watch(self._path, mask)

    def _was_replaced(self) -> bool:
        """Whether this is no longer the file written to; one made empty is begun anew."""
        file = self._opened[0].file
        try:
            status = self._path.stat()
        except FileNotFoundError:
            return True
        if self._opened[0].generation.compressed:
            return True
        if status.st_ino != self._opened[0].generation.inode:
            return True
        if status.st_size < file.tell():
            file.seek(0)
            self._rest = b""
        return False

    async def _wait_change(self) -> None:
        assert self._inotify is not None  # noqa: S101 - made by _follow
        timeout = _RECHECK_S
        if self._over is not None:
            timeout = min(timeout, max(0.0, self._over - clock.monotonic()))
        with suppress(TimeoutError):
            async with asyncio.timeout(timeout):
                await _first(self._inotify.wait_change(), self._ended.wait())


async def _first(one: Coroutine[None, None, object], other: Coroutine[None, None, object]) -> None:
    """Return when either is done; the other is cancelled."""
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(one), group.create_task(other)]
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        for task in tasks:
            task.cancel()
