"""The multiplexed stream of a container without a terminal: bytes in, frames out."""

from __future__ import annotations

HEADER = 8
STDOUT, STDERR, SYSTEM_ERROR = 1, 2, 3


class FrameError(ValueError):
    """The stream is not multiplexed, or the daemon reports an error inside it."""


class Demultiplexer:
    """Split a byte stream into ``(stream, payload)`` pieces without waiting for whole frames."""

    def __init__(self) -> None:
        self._buffer = bytearray()
        self._stream = 0
        self._left = 0

    def feed(self, data: bytes) -> list[tuple[int, bytes]]:
        """Take bytes, return what is complete enough to show.

        Raises: FrameError.
        """
        self._buffer += data
        pieces: list[tuple[int, bytes]] = []
        while True:
            if self._left == 0:
                if len(self._buffer) < HEADER:
                    return pieces
                self._start_frame()
                continue
            if not self._buffer or (
                self._stream == SYSTEM_ERROR and len(self._buffer) < self._left
            ):
                return pieces
            payload = bytes(self._buffer[: self._left])
            del self._buffer[: len(payload)]
            self._left -= len(payload)
            if self._stream == SYSTEM_ERROR:
                raise FrameError("error from daemon in stream: " + payload.decode(errors="replace"))
            pieces.append((STDERR if self._stream == STDERR else STDOUT, payload))

    def _start_frame(self) -> None:
        self._stream = self._buffer[0]
        if self._stream > SYSTEM_ERROR:
            raise FrameError(f"Unrecognized input header: {self._stream}")
        self._left = int.from_bytes(self._buffer[4:HEADER], "big")
        del self._buffer[:HEADER]
