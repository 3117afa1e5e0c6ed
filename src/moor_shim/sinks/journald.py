"""The ``journald`` driver: the journal's native protocol."""

from __future__ import annotations

import re
import time
from typing import Final

from moor_shim import protocol
from moor_shim.children import Children
from moor_shim.loop import Loop
from moor_shim.sinks.lines import Line
from moor_shim.sinks.remote import Address, Remote, tag_of

_SOCKET: Final = "unixgram:///run/systemd/journal/socket"
_PRIORITY: Final = {protocol.STDOUT: b"6", protocol.STDERR: b"3"}
_NOT_ALLOWED: Final = re.compile(r"[^A-Z0-9_]")


class Journal:
    """The encoder: the fields of a message, a binary one with its length."""

    def __init__(self, log: protocol.Message) -> None:
        tags: dict[str, str] = log["tags"]
        attributes: dict[str, str] = log["attributes"]
        fields = {
            "CONTAINER_ID": tags.get("id", "")[:12],
            "CONTAINER_ID_FULL": tags.get("id", ""),
            "CONTAINER_NAME": tags.get("name", ""),
            "CONTAINER_TAG": tag_of(log),
            "IMAGE_NAME": tags.get("image_name", ""),
            "SYSLOG_IDENTIFIER": tag_of(log),
        }
        for key, value in attributes.items():
            fields[_NOT_ALLOWED.sub("_", key.upper()).lstrip("_")] = value
        self._fixed = b"".join(_field(name, text.encode()) for name, text in fields.items())

    def encode(self, stream: int, line: Line, now_ns: int) -> list[bytes]:
        """Return one datagram."""
        stamp = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(now_ns // 1_000_000_000))
        message = _field("MESSAGE", line.payload) + _field("PRIORITY", _PRIORITY[stream])
        message += _field("SYSLOG_TIMESTAMP", f"{stamp}.{now_ns % 1_000_000_000:09d}Z".encode())
        if line.partial:
            message += _field("CONTAINER_PARTIAL_MESSAGE", b"true")
        return [message + self._fixed]


def _field(name: str, value: bytes) -> bytes:
    if b"\n" in value:
        return name.encode() + b"\n" + len(value).to_bytes(8, "little") + value + b"\n"
    return name.encode() + b"=" + value + b"\n"


def make(log: protocol.Message, loop: Loop, _children: Children) -> Remote:
    """Open the log."""
    return Remote(loop, Address(_SOCKET, default_port=0), Journal(log), log["options"])
