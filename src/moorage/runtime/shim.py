"""The daemon's side of the zygote: one message, and there is another monitor."""

from __future__ import annotations

import asyncio
import os
import select
import socket
import sys
from contextlib import suppress
from pathlib import Path
from typing import Final

import moor_shim
from moor_shim import protocol
from moorage.kernel import spawn
from moorage.lib.errors import System
from moorage.lib.tasks import Supervisor
from moorage.runtime import haste

_START: Final = (
    "import sys; sys.path.insert(0, sys.argv[1]); from moor_shim.zygote import main; main()"
)
_SPARE_S: Final = 3.0


class Zygote:
    """Started when first needed, and again should it die: it holds nothing."""

    def __init__(self, supervisor: Supervisor, place: Path) -> None:
        self._supervisor = supervisor
        self._place = place  # a directory in which the zygote makes one, and removes it
        self._socket: socket.socket | None = None
        self._process: spawn.Process | None = None
        self._watcher: asyncio.Task[None] | None = None
        self._spare: socket.socket | None = None
        self._spare_ends: asyncio.TimerHandle | None = None

    @property
    def pid(self) -> int:
        """The zygote's pid; 0 while there is none."""
        return self._process.pid if self._process and self._socket else 0

    def start(self) -> None:
        """Start the process unless it runs.

        Raises: System.
        """
        if self._socket is not None:
            return
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        interpreter = os.path.realpath(sys.executable)
        package = str(Path(moor_shim.__file__).parent.parent)
        argv = [interpreter, *spawn.LEAN_PYTHON, "-c", _START, package]
        members = haste.open_members()
        try:
            place = os.open(self._place, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
            files = {
                protocol.REQUEST_FD: theirs.fileno(),
                protocol.MEMBERS_FD: members,
                protocol.PLACE_FD: place,
            }
            try:
                process = spawn.start(argv, files=files)
            finally:
                os.close(place)
        except OSError as error:
            ours.close()
            raise System(f"cannot start the monitors' zygote: {error}") from error
        finally:
            theirs.close()
            os.close(members)
        self._socket = ours
        self._process = process
        self._watcher = self._supervisor.start(self._watch(process, ours), "zygote")

    async def _watch(self, process: spawn.Process, ours: socket.socket) -> None:
        try:
            await process.wait()
        finally:
            if self._socket is ours:
                self._socket = None
            ours.close()

    def expect_fork(self) -> None:
        """Make a container's monitor in advance: a client that creates starts a moment later.

        One at most; it goes again if nobody comes for it. If it cannot be made, ``fork`` says why.
        """
        if self._spare is None:
            with suppress(System):
                self._spare = self._fork(protocol.CONTAINER)
            loop = asyncio.get_running_loop()
            self._spare_ends = loop.call_later(_SPARE_S, self._drop_spare)

    def fork(self, kind: bytes) -> socket.socket:
        """Return the first control connection of a new monitor; *kind*: see the protocol.

        Raises: System.
        """
        spare = self._take_spare() if kind == protocol.CONTAINER else None
        if spare is None:
            return self._fork(kind)
        if _is_hung_up(spare):
            spare.close()
            return self._fork(kind)
        return spare

    def _take_spare(self) -> socket.socket | None:
        if self._spare_ends is not None:
            self._spare_ends.cancel()
        spare, self._spare, self._spare_ends = self._spare, None, None
        return spare

    def _drop_spare(self) -> None:
        spare = self._take_spare()
        if spare is not None:
            spare.close()

    def _fork(self, kind: bytes) -> socket.socket:
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            for attempt in range(2):
                self.start()
                assert self._socket is not None  # noqa: S101 - set by start
                try:
                    socket.send_fds(self._socket, [kind], [theirs.fileno()])
                except OSError as error:
                    self._socket = None  # it has died, unnoticed yet
                    if attempt:
                        raise System(f"cannot make a monitor: {error}") from error
                else:
                    break
        except BaseException:
            ours.close()
            raise
        finally:
            theirs.close()
        return ours

    def forget_dead(self) -> bool:
        """Whether the zygote has died; the next ``fork`` starts another.

        A dying one closes its socket before the requests in it, and is a zombie only later.
        """
        if self._socket is not None and not _is_hung_up(self._socket):
            return False
        self._socket = None
        return True

    async def close(self) -> None:
        """Let the zygote end; monitors stay."""
        self._drop_spare()
        if self._socket is not None:
            self._socket.shutdown(socket.SHUT_RDWR)
        if self._watcher is not None:
            await self._watcher


def _is_hung_up(connection: socket.socket) -> bool:
    poll = select.poll()
    poll.register(connection, select.POLLIN)
    return any(events & (select.POLLHUP | select.POLLERR) for _, events in poll.poll(0))
