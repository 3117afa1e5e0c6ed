"""posix_spawn(3) with pidfds: the only place of the daemon that starts a process.

No fork: the daemon has threads, and a copy of its page tables costs milliseconds.
"""

from __future__ import annotations

import asyncio
import fcntl
import os
import signal
from collections.abc import Mapping, Sequence
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Final

from msgspec import Struct

from moorage.kernel.closerange import CLOSE_RANGE_CLOEXEC, LAST, close_range

PATH: Final = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
"""Where programs are looked up: never the caller's PATH, never inside a container."""

LEAN_PYTHON: Final = ("-I", "-S", "-OO", "-X", "no_debug_ranges")
"""Flags of an interpreter of our own: nothing of the host's or a user's, nothing kept but code."""

_READ_SIZE: Final = 65536
_MAX_OUTPUT: Final = 16 << 20  # bytes kept of each stream


class Completed(Struct, frozen=True, kw_only=True):
    """How a program ended and what it said."""

    code: int  # 128 + signal for a killed one
    stdout: bytes
    stderr: bytes


class Process:
    """A running child; ``wait`` reaps it."""

    def __init__(self, pid: int) -> None:
        self.pid = pid
        self.pidfd = os.pidfd_open(pid)
        self._code: int | None = None

    async def wait(self) -> int:
        """Wait for the end and return the exit code (128 + signal if killed).

        Cancel: the process runs on.
        """
        if self._code is None:
            loop = asyncio.get_running_loop()
            ended = loop.create_future()
            loop.add_reader(self.pidfd, _resolve, ended)
            try:
                await ended
            finally:
                loop.remove_reader(self.pidfd)
            self._reap()
        assert self._code is not None  # noqa: S101 - set by _reap
        return self._code

    def send_signal(self, signum: int) -> None:
        """Send a signal; ended already is fine."""
        if self._code is None:
            with suppress(ProcessLookupError):
                signal.pidfd_send_signal(self.pidfd, signum)

    def _reap(self) -> None:
        _, status = os.waitpid(self.pid, 0)
        code = os.waitstatus_to_exitcode(status)
        self._code = 128 - code if code < 0 else code
        os.close(self.pidfd)


def _resolve(future: asyncio.Future[None]) -> None:
    if not future.done():
        future.set_result(None)


def find(program: str) -> str | None:
    """Return the absolute path of *program*, looked up in ``PATH`` unless it has a slash."""
    if "/" in program:
        return program if os.access(program, os.X_OK) else None
    for directory in PATH.split(":"):
        candidate = Path(directory, program)
        if os.access(candidate, os.X_OK) and candidate.is_file():
            return str(candidate)
    return None


def seal_inherited() -> None:
    """Make every descriptor above 2 close-on-exec: a careless parent may have left some to us.

    Without it they would go on to monitors, runtimes and into containers (CVE-2024-21626's kind).
    """
    close_range(3, LAST, CLOSE_RANGE_CLOEXEC)


def start(
    argv: Sequence[str],
    *,
    files: Mapping[int, int] | None = None,
    env: Mapping[str, str] | None = None,
    new_session: bool = False,
) -> Process:
    """Start *argv* with ``files`` (child's descriptor: ours); 0, 1 and 2 default to /dev/null.

    The environment is ``PATH`` alone unless given. All other descriptors of ours are
    close-on-exec.
    Raises: FileNotFoundError, PermissionError and other OSError.
    """
    program = find(argv[0])
    if program is None:
        raise FileNotFoundError(2, "program not found", argv[0])
    mapped = dict(files or {})
    null = os.open(os.devnull, os.O_RDWR | os.O_CLOEXEC)
    lifted: dict[int, int] = {}
    try:
        for standard in (0, 1, 2):
            mapped.setdefault(standard, null)
        above = max(mapped) + 1  # so that no duplication overwrites a descriptor still needed
        for target, source in mapped.items():
            lifted[target] = fcntl.fcntl(source, fcntl.F_DUPFD_CLOEXEC, above)
        pid = os.posix_spawn(
            program,
            list(argv),
            dict(env) if env is not None else {"PATH": PATH},
            file_actions=[(os.POSIX_SPAWN_DUP2, fd, target) for target, fd in lifted.items()],
            setsigmask=[],
            setsigdef=_DEFAULTED,
            setsid=new_session,
        )
    finally:
        for fd in (null, *lifted.values()):
            os.close(fd)
    return Process(pid)


_DEFAULTED: Final = [s for s in signal.valid_signals() if s not in {signal.SIGKILL, signal.SIGSTOP}]


async def run(
    argv: Sequence[str],
    *,
    stdin: bytes = b"",
    env: Mapping[str, str] | None = None,
    timeout_s: float | None = None,
) -> Completed:
    """Run *argv* to its end with *stdin*, and collect its output.

    Cancel, and *timeout_s*: the process is killed.
    Raises: OSError (cannot start), TimeoutError.
    """
    with ExitStack() as given, ExitStack() as kept:
        in_read, in_write = _pipe(reading=given, writing=kept)
        out_read, out_write = _pipe(reading=kept, writing=given)
        err_read, err_write = _pipe(reading=kept, writing=given)
        process = start(argv, files={0: in_read, 1: out_write, 2: err_write}, env=env)
        kept.pop_all()  # from here on they are closed by who reads and writes them
    ended = False
    try:
        async with asyncio.timeout(timeout_s), asyncio.TaskGroup() as group:
            group.create_task(_feed(in_write, stdin))
            out = group.create_task(_collect(out_read))
            err = group.create_task(_collect(err_read))
            code = await process.wait()
            ended = True
    finally:
        if not ended:
            process.send_signal(signal.SIGKILL)
            await asyncio.shield(process.wait())
    return Completed(code=code, stdout=out.result(), stderr=err.result())


def _pipe(*, reading: ExitStack, writing: ExitStack) -> tuple[int, int]:
    """Return both ends of a new pipe, each closed with its stack."""
    reader, writer = os.pipe2(os.O_CLOEXEC)
    reading.callback(os.close, reader)
    writing.callback(os.close, writer)
    return reader, writer


async def _collect(fd: int) -> bytes:
    kept = bytearray()
    os.set_blocking(fd, False)
    try:
        while True:
            try:
                chunk = os.read(fd, _READ_SIZE)
            except BlockingIOError:
                await _ready(fd, writing=False)
                continue
            if not chunk:
                return bytes(kept)
            kept += chunk[: _MAX_OUTPUT - len(kept)]
    finally:
        os.close(fd)


async def _feed(fd: int, content: bytes) -> None:
    os.set_blocking(fd, False)
    at = 0
    try:
        while at < len(content):
            try:
                at += os.write(fd, content[at : at + _READ_SIZE])
            except BlockingIOError:
                await _ready(fd, writing=True)
            except BrokenPipeError:
                return
    finally:
        os.close(fd)


async def _ready(fd: int, *, writing: bool) -> None:
    loop = asyncio.get_running_loop()
    future = loop.create_future()
    add, remove = (
        (loop.add_writer, loop.remove_writer) if writing else (loop.add_reader, loop.remove_reader)
    )
    add(fd, _resolve, future)
    try:
        await future
    finally:
        remove(fd)
