"""A control connection to a monitor: requests with answers, and events in between."""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Final

from moor_shim import protocol
from moorage.lib.errors import System

_CONNECT_ATTEMPTS: Final = 200
_CONNECT_PAUSE_S: Final = 0.01
_READ_SIZE: Final = 65536


class MonitorGone(System):
    """The monitor has ended, or does not answer."""

    def __init__(self) -> None:
        super().__init__("the container's monitor is gone")


class Connection:
    """Owner of one socket.

    *on_event* is called for each event, *on_lost* once when the monitor is gone.
    """

    def __init__(
        self,
        connection: socket.socket,
        on_event: Callable[[protocol.Message], None],
        on_lost: Callable[[], None],
    ) -> None:
        connection.settimeout(0)
        self._socket = connection
        self._on_event = on_event
        self._on_lost = on_lost
        self._lines = protocol.LineReader()
        self._count = 0
        self._waiting: dict[int, asyncio.Future[protocol.Message]] = {}
        self._fds: list[int] = []
        self._loop = asyncio.get_running_loop()
        self._open = True
        self._loop.add_reader(connection.fileno(), self._readable)

    async def request(self, operation: str, /, *fds: int, **arguments: object) -> protocol.Message:
        """Ask, and hand over *fds* (which stay ours too); return the answer.

        Raises: System (the monitor refuses: its complaint alone), MonitorGone.
        """
        self._count += 1
        number = self._count
        answer: asyncio.Future[protocol.Message] = self._loop.create_future()
        self._waiting[number] = answer
        try:
            encoded = protocol.encode({"op": operation, "id": number, **arguments})
            if fds:  # the first request of a connection: there is room for its beginning
                encoded = encoded[socket.send_fds(self._socket, [encoded], fds) :]
            await self._loop.sock_sendall(self._socket, encoded)
            reply = await answer
        except OSError as error:
            raise MonitorGone from error
        finally:
            self._waiting.pop(number, None)
        if "error" in reply:
            raise System(str(reply["error"]))
        return reply

    def take_fds(self) -> list[int]:
        """Take over the descriptors that came with answers so far."""
        fds, self._fds = self._fds, []
        return fds

    def _readable(self) -> None:
        try:
            chunk, fds, _, _ = socket.recv_fds(self._socket, _READ_SIZE, 8, socket.MSG_CMSG_CLOEXEC)
        except (BlockingIOError, InterruptedError):
            return
        except OSError:
            chunk, fds = b"", []
        self._fds += fds
        if not chunk:
            self.close()
            self._on_lost()
            return
        for message in self._lines.feed(chunk):
            waiting = self._waiting.get(message.get("id", 0))
            if "event" in message:
                self._on_event(message)
            elif waiting is not None and not waiting.done():
                waiting.set_result(message)

    def close(self) -> None:
        """Close; requests under way fail; may be called twice."""
        if not self._open:
            return
        self._open = False
        self._loop.remove_reader(self._socket.fileno())
        self._socket.close()
        for fd in self.take_fds():
            os.close(fd)
        for waiting in self._waiting.values():
            if not waiting.done():
                waiting.set_exception(ConnectionResetError("monitor gone"))


async def connect(directory: Path) -> socket.socket:
    """Connect to the monitor of the task in *directory*.

    By the directory's descriptor: a socket's path has 108 bytes only.
    Raises: OSError (no monitor).
    """
    fd = os.open(directory, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        connection.settimeout(0)
        await _connect(connection, f"/proc/self/fd/{fd}/{protocol.SOCKET}")
    except BaseException:
        connection.close()
        raise
    finally:
        os.close(fd)
    return connection


async def _connect(connection: socket.socket, path: str) -> None:
    for _ in range(_CONNECT_ATTEMPTS):
        try:
            connection.connect(path)
        except BlockingIOError:  # its queue is full
            await asyncio.sleep(_CONNECT_PAUSE_S)
        else:
            return
    raise TimeoutError("the monitor does not accept connections")
