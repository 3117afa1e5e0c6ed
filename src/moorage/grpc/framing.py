"""Messages in a stream of bytes: a flag, a length (32 bits, big endian), the message."""

from __future__ import annotations

import struct
from typing import Final

from moorage.grpc.status import CallFailed, Code

MESSAGE_LIMIT: Final = 16 << 20  # bytes of one message, as BuildKit's own limit
_HEAD: Final = struct.Struct(">BI")


def frame(payload: bytes) -> bytes:
    """Return a message with its head, not compressed."""
    return _HEAD.pack(0, len(payload)) + payload


class Unframer:
    """Takes a stream apart; what it holds is never more than one message and what was fed last."""

    def __init__(self, limit: int = MESSAGE_LIMIT) -> None:
        self._held = bytearray()
        self._limit = limit

    def feed(self, data: bytes) -> None:
        """Add what arrived."""
        self._held += data

    def next(self) -> bytes | None:
        """Return the next message; None until it is complete.

        Raises: CallFailed (too large, or compressed, to which nobody was invited).
        """
        held = self._held
        if len(held) < _HEAD.size:
            return None
        flag, length = _HEAD.unpack_from(held)
        if flag:
            raise CallFailed(Code.UNIMPLEMENTED, "compressed messages are not understood here")
        if length > self._limit:
            raise CallFailed(
                Code.RESOURCE_EXHAUSTED,
                f"a message of {length} bytes is over the limit of {self._limit}",
            )
        end = _HEAD.size + length
        if len(held) < end:
            return None
        found = bytes(memoryview(held)[_HEAD.size : end])
        del held[:end]
        return found

    @property
    def is_empty(self) -> bool:
        """Whether the stream may end here."""
        return not self._held
