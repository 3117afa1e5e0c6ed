"""The multiplexed stream of a container without a terminal: bytes in, frames out."""

from __future__ import annotations

HEADER = 8
STDOUT, STDERR, SYSTEM_ERROR = 1, 2, 3


class FrameError(ValueError):
    """The stream is not multiplexed, or the daemon reports an error inside it."""


class Demultiplexer:
    """Split a byte stream into ``(stream, payload)`` pieces without waiting for whole frames."""

    def __init__(self) -> None:
        from struct import Struct

        self._read_head = Struct(">BxxxI").unpack_from
        self._kept = b""  # a part of a head, or of an error
        self._stream = 0
        self._left = 0  # bytes of its frame that are to come

    def feed(self, data: bytes) -> list[tuple[int, bytes]]:
        """Take bytes, return what is complete enough to show: one piece for a run of a stream.

        A log has a frame for each line.
        Raises: FrameError.
        """
        if self._kept:
            data, self._kept = self._kept + data, b""
        pieces: list[tuple[int, bytes]] = []
        run: list[bytes] = []
        shown, stream, left, at, end = 0, self._stream, self._left, 0, len(data)
        while True:
            if not left:
                if end - at < HEADER:
                    break
                stream, left = self._read_head(data, at)
                at += HEADER
                if stream > SYSTEM_ERROR:
                    raise FrameError(f"Unrecognized input header: {stream}")
                continue
            payload = data[at : at + left]
            if stream == SYSTEM_ERROR:
                if len(payload) < left:
                    break
                raise FrameError("error from daemon in stream: " + payload.decode(errors="replace"))
            if not payload:
                break
            at += len(payload)
            left -= len(payload)
            if stream != shown:
                _close(pieces, shown, run)
                shown, run = stream, []
            run.append(payload)
        _close(pieces, shown, run)
        self._kept, self._stream, self._left = data[at:], stream, left
        return pieces


def _close(pieces: list[tuple[int, bytes]], stream: int, run: list[bytes]) -> None:
    if run:
        pieces.append((STDERR if stream == STDERR else STDOUT, b"".join(run)))
