"""Streams of containers on the wire: stdout and stderr multiplexed, or raw for a terminal."""

from __future__ import annotations

import struct
from collections.abc import Iterable
from typing import Final

RAW_STREAM: Final = "application/vnd.docker.raw-stream"
MULTIPLEXED_STREAM: Final = "application/vnd.docker.multiplexed-stream"
STDIN: Final = 0
STDOUT: Final = 1
STDERR: Final = 2
SYSTEM_ERROR: Final = 3
_HEAD: Final = struct.Struct(">BxxxI")


def stdcopy_frame(stream: int, payload: bytes) -> bytes:
    """Wrap *payload* in the 8-byte head that says which stream it belongs to."""
    return _HEAD.pack(stream, len(payload)) + payload


def stdcopy_frames(stream: int, payloads: Iterable[bytes]) -> bytes:
    """Wrap each of *payloads*."""
    pack = _HEAD.pack
    return b"".join([pack(stream, len(payload)) + payload for payload in payloads])


def stream_type(*, tty: bool, version: tuple[int, int]) -> str:
    """Return the content type of attach, exec and logs: it tells frames from raw since 1.42."""
    return RAW_STREAM if tty or version < (1, 42) else MULTIPLEXED_STREAM
