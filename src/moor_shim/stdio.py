"""The standard streams of the process: pipes or a terminal, pumped to the log and to clients."""

from __future__ import annotations

import fcntl

from moor_shim import lastwords, lean, protocol
from moor_shim.bare import TYPE_CHECKING, Struct, os, suppress
from moor_shim.loop import IN, OUT, Loop

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Final, Protocol

    class Output(Protocol):
        """Somebody who gets what the process writes."""

        def output(self, stream: int, chunk: bytes) -> None:
            """Take *chunk*, without blocking."""

        def full(self) -> bool:
            """Whether more should wait."""


READ_SIZE: Final = 65536
TERMINAL_SIZE: Final = 1 << 20  # bytes; more than the kernel keeps of a terminal's output
STDIN_HIGH: Final = 65536  # bytes waiting for the process: above it clients are not read
_WINDOW: Final = Struct("4H")  # struct winsize: rows, columns, and two that nobody uses


class Stdio:
    """Owner of the monitor's ends of the streams.

    Output is read only while no client is full, so a slow client slows the process, as in a
    shell's pipe; a client that has gone, and a log that cannot be written, do not.
    """

    def __init__(self, loop: Loop, *, tty: bool, open_stdin: bool, program: str = "") -> None:
        self._loop = loop
        self.tty = tty
        self._open_stdin = open_stdin
        self._sources: dict[int, int] = {}  # descriptor -> stream
        self._stdin = -1
        self._pending = bytearray()  # for stdin
        self._stdin_ends = False
        self._begun = False
        self._program = program  # what an exec runs, until it has said something
        self._silent = True
        self.outputs: list[Output] = []
        self.on_eof: Callable[[], None] = _nothing
        self.on_stdin_space: Callable[[], None] = _nothing
        self._console: lean.Socket | None = None
        self.size: tuple[int, int] | None = None  # of the terminal, once it is known

    # -- making

    def open(self) -> tuple[int, int, int]:
        """Make the streams; return the child's ends, which the caller closes after spawning."""
        null = os.open("/dev/null", os.O_RDWR | os.O_CLOEXEC)
        if self.tty:
            self._console = lean.listen(protocol.CONSOLE, 1)
            self._loop.watch(self._console.fileno(), IN, self._console_arrives)
            return null, os.dup(null), os.dup(null)
        if self._open_stdin:
            child_in, self._stdin = os.pipe2(os.O_CLOEXEC)
            os.set_blocking(self._stdin, False)
            os.close(null)
        else:
            child_in = null
        ends = [child_in]
        for stream in (protocol.STDOUT, protocol.STDERR):
            source, child_out = os.pipe2(os.O_CLOEXEC)
            os.set_blocking(source, False)
            self._sources[source] = stream
            ends.append(child_out)
        return ends[0], ends[1], ends[2]

    def readable(self) -> dict[int, int]:
        """Return the descriptors of output that has not ended, with their streams."""
        return self._sources

    def adopt(self, sources: dict[int, int], stdin: int = -1) -> None:
        """Take over the streams of another monitor, as ``readable`` and ``writable`` gave them.

        A terminal is input too; a pipe to the process has ended if its only writer was killed.
        """
        self._sources = sources
        self._silent = False
        self._stdin = next(iter(sources), -1) if self.tty else stdin

    def writable(self) -> int:
        """Return the descriptor of a pipe to the process; -1 if there is none."""
        return -1 if self.tty else self._stdin

    def is_idle(self) -> bool:
        """Whether nothing waits to be written to the process, or for its terminal."""
        return not self._pending and self._console is None

    def console_path(self) -> str:
        """Return a short path to the console socket: a socket's path has 108 bytes only."""
        return f"/proc/{os.getpid()}/cwd/{protocol.CONSOLE}"

    def _console_arrives(self, _events: int) -> None:
        """Take the terminal at once: the process of an exec runs soon, and asks its size."""
        with suppress(OSError):
            self.receive_console()

    def receive_console(self) -> None:
        """Take the terminal's master that the OCI runtime sends, unless it has been taken.

        Raises: OSError, IndexError (it has sent none).
        """
        listener = self._console
        if listener is None:
            return
        connection = lean.accept(listener)
        _, fds = lean.receive(connection, 4096)
        connection.close()
        self._close_console()
        master = fds[0]
        os.set_blocking(master, False)
        self._sources[master] = protocol.STDOUT
        self._stdin = master
        if self.size is not None:
            self.resize(*self.size)
        if self._pending:
            self._flush_stdin()

    def _close_console(self) -> None:
        if self._console is not None:
            self._loop.forget(self._console.fileno())
            self._console.close()
            self._console = None
            with suppress(FileNotFoundError):
                os.unlink(protocol.CONSOLE)

    # -- output

    def begin(self) -> None:
        """Start reading what the process writes."""
        self._begun = True
        self.refresh()

    def refresh(self) -> None:
        """Watch what there is a use for now; call after a client has changed."""
        reading = self._begun and not any(output.full() for output in self.outputs)
        for fd in self._sources:
            writing = fd == self._stdin and bool(self._pending)
            self._loop.watch(
                fd, (IN if reading else 0) | (OUT if writing else 0), self._handler(fd)
            )

    def _handler(self, fd: int) -> Callable[[int], None]:
        def ready(events: int) -> None:
            if events & OUT and fd == self._stdin:
                self._flush_stdin()
            if events & ~OUT and fd in self._sources:
                self._pump(fd)

        return ready

    def _pump(self, fd: int) -> int:
        """Read once; return how many bytes, 0 if there are none now."""
        try:
            chunk = os.read(fd, READ_SIZE)
        except BlockingIOError:
            return 0
        except OSError:  # EIO: the last holder of a terminal has closed it
            chunk = b""
        if not chunk:
            self._end(fd)
            return 0
        stream = self._sources[fd]
        if self._silent and (self.tty or stream == protocol.STDERR):
            self._silent = False
            chunk = lastwords.translate(chunk, self._program)
        full = False
        for output in tuple(self.outputs):
            output.output(stream, chunk)
            full = full or output.full()
        if full:
            self.refresh()
        return len(chunk)

    def drain(self) -> None:
        """Read what is there now, whether or not clients are full: the process has ended.

        No more than a pipe holds: one that it left behind may go on writing for ever.
        """
        self._begun = True
        for fd in tuple(self._sources):
            left = _capacity(fd)
            while left > 0 and fd in self._sources and (size := self._pump(fd)):
                left -= size
        self.refresh()

    def ended(self) -> bool:
        """Whether all output has been seen."""
        return not self._sources

    def _end(self, fd: int) -> None:
        self._loop.forget(fd)
        del self._sources[fd]
        if fd == self._stdin:
            self._stdin = -1
        os.close(fd)
        if not self._sources:
            self.on_eof()

    # -- input

    def write_stdin(self, chunk: bytes) -> None:
        """Queue *chunk* for the process; without a stdin it is dropped."""
        if (self._stdin >= 0 or self._console is not None) and not self._stdin_ends:
            self._pending += chunk
            self._flush_stdin()

    def stdin_full(self) -> bool:
        """Whether clients should hold back."""
        return len(self._pending) > STDIN_HIGH

    def close_stdin(self) -> None:
        """Close the process's stdin once all is written; a terminal's stays."""
        if not self.tty:
            self._stdin_ends = True
            if not self._pending:
                self._drop_stdin()

    def _flush_stdin(self) -> None:
        was_full = self.stdin_full()
        while self._pending and self._stdin >= 0:
            try:
                written = os.write(self._stdin, self._pending[:READ_SIZE])
            except BlockingIOError:
                break
            except OSError:  # EPIPE: the process does not read any more
                self._pending.clear()
                self._drop_stdin()
                break
            del self._pending[:written]
        if self._stdin >= 0:
            if not self._pending and self._stdin_ends:
                self._drop_stdin()
            elif self._stdin in self._sources:
                self.refresh()
            else:
                self._loop.watch(self._stdin, OUT if self._pending else 0, self._stdin_ready)
        if was_full and not self.stdin_full():
            self.on_stdin_space()

    def _stdin_ready(self, _events: int) -> None:
        self._flush_stdin()

    def _drop_stdin(self) -> None:
        if self._stdin >= 0 and self._stdin not in self._sources:
            self._loop.forget(self._stdin)
            os.close(self._stdin)
            self._stdin = -1

    def resize(self, height: int, width: int) -> None:
        """Set the terminal's size, now or as soon as there is one."""
        self.size = (height, width)
        if self.tty and self._stdin >= 0:
            import termios  # noqa: PLC0415 - few have a terminal

            with suppress(OSError):
                fcntl.ioctl(self._stdin, termios.TIOCSWINSZ, _WINDOW.pack(height, width, 0, 0))

    def close(self) -> None:
        """Close all."""
        self._close_console()
        self._drop_stdin()
        for fd in tuple(self._sources):
            self._loop.forget(fd)
            del self._sources[fd]
            os.close(fd)


def _capacity(fd: int) -> int:
    """Return the most that can wait in *fd*, a pipe or the master of a terminal."""
    try:
        return fcntl.fcntl(fd, fcntl.F_GETPIPE_SZ)
    except OSError:
        return TERMINAL_SIZE


def _nothing() -> None:
    pass
