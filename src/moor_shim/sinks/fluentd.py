"""The ``fluentd`` driver: the forward protocol, in MessagePack."""

from __future__ import annotations

from typing import Final

from moor_shim import protocol
from moor_shim.children import Children
from moor_shim.loop import Loop
from moor_shim.sinks.lines import Line
from moor_shim.sinks.remote import Address, Remote, tag_of

_SOURCE: Final = {protocol.STDOUT: "stdout", protocol.STDERR: "stderr"}
_PORT: Final = 24224


class Fluentd:
    """The encoder: ``[tag, time, {container_id, container_name, source, log, …}]``."""

    def __init__(self, log: protocol.Message) -> None:
        tags: dict[str, str] = log["tags"]
        attributes: dict[str, str] = log["attributes"]
        self._tag = tag_of(log)
        self._precise = log["options"].get("fluentd-sub-second-precision", "") == "true"
        self._fixed = {
            "container_id": tags.get("id", ""),
            "container_name": tags.get("name", ""),
            **attributes,
        }

    def encode(self, stream: int, line: Line, now_ns: int) -> list[bytes]:
        """Return one event."""
        record = {**self._fixed, "source": _SOURCE[stream]}
        if line.partial:
            record["partial_message"] = "true"
        packed = bytearray(_map_head(len(record) + 1))
        for key, value in record.items():
            packed += _text(key.encode()) + _text(value.encode())
        packed += _text(b"log") + _text(line.payload)
        return [b"\x93" + _text(self._tag.encode()) + self._time(now_ns) + bytes(packed)]

    def _time(self, now_ns: int) -> bytes:
        seconds, fraction = divmod(now_ns, 1_000_000_000)
        if self._precise:  # the protocol's EventTime: an extension of type 0
            return b"\xd7\x00" + seconds.to_bytes(4, "big") + fraction.to_bytes(4, "big")
        return b"\xce" + seconds.to_bytes(4, "big")


def _map_head(count: int) -> bytes:
    return bytes((0x80 | count,)) if count < 16 else b"\xde" + count.to_bytes(2, "big")


def _text(value: bytes) -> bytes:
    length = len(value)
    if length < 32:
        return bytes((0xA0 | length,)) + value
    if length < 1 << 8:
        return b"\xd9" + length.to_bytes(1, "big") + value
    if length < 1 << 16:
        return b"\xda" + length.to_bytes(2, "big") + value
    return b"\xdb" + length.to_bytes(4, "big") + value


def make(log: protocol.Message, loop: Loop, _children: Children) -> Remote:
    """Open the log.

    Raises: ValueError.
    """
    given = log["options"].get("fluentd-address") or f"127.0.0.1:{_PORT}"
    return Remote(loop, Address(given, default_port=_PORT), Fluentd(log), log["options"])
