"""Reading the ``json-file`` format; its writer is ``moor_shim.sinks.jsonfile``."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Final

import msgspec
from msgspec import Struct

from moorage.lib import clock


class JsonEntry(Struct, frozen=True, gc=False):
    """One line of the file."""

    log: str = ""
    stream: str = "stdout"
    time: str = clock.ZERO
    attrs: dict[str, str] | None = None

    @property
    def text(self) -> bytes:
        """The line."""
        return self.log.encode("utf-8", "replace")

    @property
    def time_ns(self) -> int:
        """When it was written; 0 if the record does not say (a disk lost a part of it)."""
        try:
            return clock.parse_rfc3339(self.time)
        except ValueError:
            return 0

    @property
    def attributes(self) -> Mapping[str, str]:
        """What ``--details`` shows."""
        return self.attrs or {}


_decoder: Final = msgspec.json.Decoder(JsonEntry)


class JsonFile:
    """The codec: records end with a newline."""

    def whole(self, buffer: bytes) -> int:
        """Return the length up to the last newline."""
        return buffer.rfind(b"\n") + 1

    def decode(self, records: bytes) -> Sequence[JsonEntry]:
        """Read whole lines."""
        try:
            return _decoder.decode_lines(records)
        except (msgspec.DecodeError, UnicodeDecodeError):
            return [entry for line in records.splitlines() if (entry := _decode(line)) is not None]

    def texts(self, entries: Iterable[JsonEntry]) -> list[bytes]:
        """Return the lines."""
        return [entry.log.encode("utf-8", "replace") for entry in entries]

    def tail(self, content: bytes, count: int) -> tuple[int, int]:
        """Return where the last *count* lines begin, and how many there are."""
        at = len(content)
        if not content.endswith(b"\n"):
            at = content.rfind(b"\n") + 1  # a record that is being written does not count
        found = 0
        while found < count and at > 0:
            at = content.rfind(b"\n", 0, at - 1) + 1
            found += 1
        return at, found


def _decode(line: bytes) -> JsonEntry | None:
    try:
        return _decoder.decode(line)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None
