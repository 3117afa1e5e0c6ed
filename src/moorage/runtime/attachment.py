"""A client's connection to the standard streams of a process."""

from __future__ import annotations

import asyncio
import socket
from collections import deque
from pathlib import Path
from typing import Final

from moor_shim import protocol
from moorage.lib.errors import Conflict, System
from moorage.runtime.connection import connect

_READ_SIZE: Final = 262144
_WRITE_SIZE: Final = 32768


class Attachment:
    """Output arrives from the moment of attaching on; what came before is in the log."""

    def __init__(self, connection: socket.socket, rest: bytes) -> None:
        self._socket = connection
        self._frames = protocol.FrameReader()
        self._arrived = deque(self._frames.feed(rest))
        self._ended = False

    async def read(self) -> tuple[int, bytes] | None:
        """Return (1 stdout or 2 stderr, bytes); a terminal has only 1; None at the end.

        While nobody reads, the process is held back once some 64 KiB are under way.
        """
        loop = asyncio.get_running_loop()
        while not self._arrived:
            if self._ended:
                return None
            try:
                chunk = await loop.sock_recv(self._socket, _READ_SIZE)
            except OSError:
                chunk = b""
            if not chunk:
                self._ended = True
            else:
                self._arrived.extend(self._frames.feed(chunk))
        return self._arrived.popleft()

    async def write(self, chunk: bytes) -> None:
        """Send to the process's stdin, waiting while it does not read; dropped after its end."""
        loop = asyncio.get_running_loop()
        try:
            for at in range(0, len(chunk), _WRITE_SIZE):
                part = chunk[at : at + _WRITE_SIZE]
                await loop.sock_sendall(self._socket, protocol.frame(protocol.STDIN, part))
        except OSError:
            self._ended = True

    async def close_stdin(self) -> None:
        """Say that this client sends no more.

        The process's stdin closes if it was made with *stdin_once* and is no terminal.
        """
        try:
            loop = asyncio.get_running_loop()
            await loop.sock_sendall(self._socket, protocol.frame(protocol.STDIN, b""))
        except OSError:
            self._ended = True

    async def close(self) -> None:
        """Detach; the process goes on. Counts as ``close_stdin``; may be called twice."""
        self._ended = True
        self._socket.close()


def begin() -> tuple[Attachment, socket.socket]:
    """Return an attachment to a process that is yet to be made, and what its monitor needs of it.

    The socket is the caller's to hand over (``create``) and close.
    """
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
    ours.settimeout(0)
    return Attachment(ours, b""), theirs


async def attach(directory: Path, *, stdin: bool, stdout: bool, stderr: bool) -> Attachment:
    """Attach to the task in *directory*.

    Raises: Conflict (its monitor is gone).
    """
    loop = asyncio.get_running_loop()
    try:
        connection = await connect(directory)
    except OSError as error:
        raise Conflict("cannot attach: the container's monitor is gone") from error
    try:
        request = {"op": "attach", "id": 1, "stdin": stdin, "stdout": stdout, "stderr": stderr}
        await loop.sock_sendall(connection, protocol.encode(request))
        reply, rest = await _first_message(connection)
    except OSError as error:
        connection.close()
        raise Conflict("cannot attach: the container's monitor is gone") from error
    except BaseException:
        connection.close()
        raise
    if "error" in reply:
        connection.close()
        raise System(str(reply["error"]))
    return Attachment(connection, rest)


async def _first_message(connection: socket.socket) -> tuple[protocol.Message, bytes]:
    """Return the answer and what came behind it, frames already."""
    loop = asyncio.get_running_loop()
    lines = protocol.LineReader()
    while chunk := await loop.sock_recv(connection, _READ_SIZE):
        reply = lines.first(chunk)
        if reply is not None:
            return reply, lines.rest
    raise Conflict("cannot attach: the container has ended")
