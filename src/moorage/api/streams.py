"""Streams on the wire: stdout and stderr multiplexed, or raw for a terminal; events."""

from __future__ import annotations

import struct
from collections.abc import Iterable
from typing import Final

from moorage.api.results import JSON, JSON_SEQUENCE

_EVENTS: Final = (  # content types, and the version that brought each
    ("application/jsonl", (1, 53)),
    ("application/x-ndjson", (1, 52)),
    (JSON_SEQUENCE, (1, 52)),
    (JSON, (1, 0)),
)
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


def event_type(accept: str, version: tuple[int, int]) -> str:
    """Return the content type of events that the client likes best of those *version* knows.

    Whoever names none of them gets plain JSON, though it is one document a line too.
    """
    liked = dict(_preference(part) for part in accept.split(","))
    offers = [name for name, since in _EVENTS if version >= since]
    best = max(offers, key=lambda name: liked.get(name, 0.0))
    return best if liked.get(best, 0.0) > 0 else JSON


def _preference(part: str) -> tuple[str, float]:
    """Read one part of an ``Accept`` header: a type, and how much it is liked (0 to 1)."""
    name, *parameters = (text.strip().lower() for text in part.split(";"))
    for parameter in parameters:
        if parameter.startswith("q="):
            try:
                return name, float(parameter[2:])
            except ValueError:
                return name, 0.0
    return name, 1.0
