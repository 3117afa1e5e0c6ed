"""Carry bytes between the user's streams and a container until one of them ends.

One loop over poll(2): no threads, and no write to the daemon ever blocks, so a container that fills
its output while we fill its input cannot lock us both up.
"""

from __future__ import annotations

import posix
import select

from moorage.cli.detachkeys import Watcher
from moorage.client.stdcopy import STDERR, Demultiplexer, FrameError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from moorage.cli.session import Session
    from moorage.cli.signals import Watch
    from moorage.client.http import Wire

CHUNK = 64 * 1024


class Duplex:
    """The streams of one attached container or exec."""

    def __init__(
        self,
        session: Session,
        wire: Wire,
        *,
        raw: bool,
        stdin: bool,
        detach_keys: bytes = b"",
        watch: Watch | None = None,
        on_signal: Callable[[int], None] = lambda _: None,
    ) -> None:
        self.session = session
        self.wire = wire
        self.connection = wire.connection
        self.demultiplexer = None if raw else Demultiplexer()
        self.stdin_open = stdin
        self.watcher = Watcher(detach_keys) if detach_keys else None
        self.watch = watch
        self.on_signal = on_signal
        self.unsent = b""
        self.input_ended = False
        self.detached = False

    def run(self) -> None:
        """Carry until the container's output ends or the detach keys are typed.

        Raises: FrameError.
        """
        self.connection.setblocking(False)  # noqa: FBT003
        self._show(bytes(self.wire.buffer))
        self.wire.buffer.clear()
        while not self.detached:
            ready = self._wait()
            if self.watch is not None and ready.get(self.watch.descriptor):
                for number in self.watch.take():
                    self.on_signal(number)
            if self.unsent:
                self._send()
            if self.stdin_open and ready.get(0):
                self._read_input()
            wire_ready = ready.get(self.connection.fileno(), 0) & ~select.POLLOUT
            if (wire_ready or self.connection.pending()) and not self._read_output():
                return

    def _wait(self) -> dict[int, int]:
        poller = select.poll()
        events = select.POLLIN | (select.POLLOUT if self.unsent else 0)
        poller.register(self.connection.fileno(), events)
        if self.stdin_open and not self.unsent:
            poller.register(0, select.POLLIN)
        if self.watch is not None:
            poller.register(self.watch.descriptor, select.POLLIN)
        return dict(poller.poll(0 if self.connection.pending() else None))

    def _read_input(self) -> None:
        try:
            typed = posix.read(0, CHUNK)
        except (BlockingIOError, InterruptedError):
            return
        except OSError:
            typed = b""  # the terminal hung up
        if not typed:
            self.stdin_open = False
            self.input_ended = True
        elif self.watcher is not None:
            typed, self.detached = self.watcher.feed(typed)
        self.unsent += typed
        self._send()

    def _send(self) -> None:
        try:
            while self.unsent:
                self.unsent = self.unsent[self.connection.send(self.unsent) :]
        except BlockingIOError:
            return
        except OSError:
            self.unsent, self.stdin_open = b"", False  # nobody reads: the output will end, too
        if self.input_ended:
            self.input_ended = False
            self.connection.close_write()

    def _read_output(self) -> bool:
        try:
            received = self.connection.recv(CHUNK)
        except BlockingIOError:
            return True
        except ConnectionResetError:
            return False
        self._show(received)
        return bool(received)

    def _show(self, received: bytes) -> None:
        if not received:
            return
        out, err = self.session.out, self.session.err
        if self.demultiplexer is None:
            out.write_bytes(received)
        else:
            for stream, payload in self.demultiplexer.feed(received):
                (err if stream == STDERR else out).write_bytes(payload)
        out.flush()
        err.flush()


__all__ = ["Duplex", "FrameError"]
