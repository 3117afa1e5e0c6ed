"""Ports that the kernel cannot translate, because host and container differ in IP version.

Each has a process that forwards it (``portforwarder.py``), which runs on while the daemon does not.
A new daemon finds them by their command lines, so nothing of them is on disk.
"""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import socket
import sys
from collections.abc import Callable, Iterable
from contextlib import suppress
from pathlib import Path
from typing import Final

from msgspec import Struct

import moorage
from moorage.kernel import pidfd, spawn
from moorage.lib import offload
from moorage.lib.errors import MoorageError, System
from moorage.lib.tasks import Supervisor
from moorage.networks.firewall.rules import Published

log = logging.getLogger(__name__)

_START: Final = (
    "import sys; sys.path.insert(0, sys.argv.pop(1));"
    " from moorage.networks.portforwarder import main; main()"
)
_BACKLOG: Final = 128
_RETRY_S: Final = 0.5
_PROC: Final = Path("/proc")

Arguments = tuple[str, ...]  # of a forwarder: handle, protocol, container, its port, host, its port
Listener = Callable[[Published], socket.socket | None]


class _Forwarder(Struct, eq=False):
    pidfd: int
    ended: asyncio.Task[None] | None = None


class Forwarding:
    """The forwarders of this daemon; used on the event loop only.

    *listener* gives the socket that holds a host port, None if somebody else has it.
    """

    def __init__(self, exec_root: Path, supervisor: Supervisor, listener: Listener) -> None:
        self._handles = exec_root / "netns"
        self._supervisor = supervisor
        self._listener = listener
        self._left: dict[Arguments, int] = {}  # pids, of a former daemon and not claimed yet
        self._running: dict[Published, _Forwarder] = {}
        self._ending: set[asyncio.Task[None]] = set()

    async def open(self) -> None:
        """Find what a former daemon has left."""
        self._left = await offload.run("fs", _find, self._handles)

    def end_unclaimed(self) -> None:
        """End what a former daemon has left and nothing here wants."""
        for pid in self._left.values():
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        self._left.clear()

    def publish(self, handle: Path, ports: Iterable[Published]) -> None:
        """Forward those of *ports* that need it to the sandbox whose namespace is at *handle*.

        Raises: System (no more processes).
        """
        for port in ports:
            if port.forwarded and port not in self._running:
                self._begin(handle, port)

    def unpublish(self, ports: Iterable[Published]) -> None:
        """Forward *ports* no more; ``settle`` waits until their host ports are let go."""
        for port in ports:
            if (found := self._running.pop(port, None)) is None:
                continue
            with suppress(ProcessLookupError):
                pidfd.pidfd_send_signal(found.pidfd, signal.SIGKILL)
            if found.ended is not None:
                self._ending.add(found.ended)
                found.ended.add_done_callback(self._ending.discard)

    async def settle(self) -> None:
        """Wait until every forwarder that was told to end has ended."""
        if self._ending:
            await asyncio.wait(set(self._ending))

    def _begin(self, handle: Path, port: Published) -> None:
        arguments = _arguments(handle, port)
        if (left := self._left.pop(arguments, None)) is not None:
            with suppress(ProcessLookupError):
                self._attend(handle, port, os.pidfd_open(left), None)
                return
        listener = self._listener(port)
        if listener is None:
            log.warning("port %d is not forwarded: another program has it", port.host_port)
            return
        if port.protocol == "tcp":
            # What is left of its connections (TIME_WAIT) is to be in nobody's way.
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.listen(_BACKLOG)  # who comes before the process is ready waits
        source = str(Path(moorage.__file__).parent.parent)
        command = [sys.executable, *spawn.LEAN_PYTHON, "-c", _START, source, *arguments]
        try:
            process = spawn.start(command, files={3: listener.fileno()}, new_session=True)
        except OSError as error:
            raise System(f"port {port.host_port} cannot be forwarded: {error}") from error
        self._attend(handle, port, os.dup(process.pidfd), process)

    def _attend(
        self, handle: Path, port: Published, descriptor: int, process: spawn.Process | None
    ) -> None:
        forwarder = self._running[port] = _Forwarder(descriptor)
        work = self._wait(handle, port, forwarder, process)
        forwarder.ended = self._supervisor.start(work, f"forwarder of port {port.host_port}")

    async def _wait(
        self, handle: Path, port: Published, forwarder: _Forwarder, process: spawn.Process | None
    ) -> None:
        """Wait for the end of a forwarder; one that nobody has told to end is replaced."""
        try:
            await (_ended(forwarder.pidfd) if process is None else process.wait())
        finally:
            os.close(forwarder.pidfd)
        if self._running.get(port) is not forwarder:
            return
        log.warning("the process that forwards port %d has ended", port.host_port)
        await asyncio.sleep(_RETRY_S)
        if self._running.get(port) is forwarder:
            del self._running[port]
            try:
                self._begin(handle, port)
            except MoorageError as error:
                log.warning("%s", error)


async def _ended(descriptor: int) -> None:
    loop = asyncio.get_running_loop()
    ended = asyncio.Event()
    loop.add_reader(descriptor, ended.set)
    try:
        await ended.wait()
    finally:
        loop.remove_reader(descriptor)


def _arguments(handle: Path, port: Published) -> Arguments:
    inside = (port.container, str(port.container_port))
    return (str(handle), port.protocol, *inside, port.host, str(port.host_port))


def _find(handles: Path) -> dict[Arguments, int]:
    """Return the forwarders to sandboxes below *handles*: processes of root beside us. Blocks."""
    ours = (_PROC / "self/ns/pid").readlink()
    start, below = _START.encode(), f"{handles}/".encode()
    found: dict[Arguments, int] = {}
    for process in _PROC.iterdir():
        if not process.name.isdecimal():
            continue
        with suppress(OSError):  # it has just ended
            words = (process / "cmdline").read_bytes().rstrip(b"\0").split(b"\0")
            if start not in words:
                continue
            given = words[words.index(start) + 2 :]
            beside_us = (process / "ns/pid").readlink() == ours and process.stat().st_uid == 0
            if beside_us and given and given[0].startswith(below):
                found[tuple(word.decode() for word in given)] = int(process.name)
    return found
