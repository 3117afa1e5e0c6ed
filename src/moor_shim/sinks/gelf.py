"""The ``gelf`` driver: Graylog's format 1.1, over UDP (compressed, in chunks) or TCP."""

from __future__ import annotations

import json
import os
import zlib
from typing import Final

from moor_shim import protocol
from moor_shim.children import Children
from moor_shim.loop import Loop
from moor_shim.sinks.lines import Line
from moor_shim.sinks.remote import Address, Remote, tag_of

_LEVEL: Final = {protocol.STDOUT: 6, protocol.STDERR: 3}
_CHUNK: Final = 1420  # bytes of a datagram, below the usual MTU
_CHUNK_HEAD: Final = 12
_MAX_CHUNKS: Final = 128
_WINDOW: Final = {"gzip": 31, "zlib": 15}  # zlib's wbits


class Gelf:
    """The encoder."""

    def __init__(self, log: protocol.Message, *, datagram: bool) -> None:
        tags: dict[str, str] = log["tags"]
        options: dict[str, str] = log["options"]
        attributes: dict[str, str] = log["attributes"]
        self._datagram = datagram
        self._compression = options.get("gelf-compression-type", "gzip")
        if self._compression not in {*_WINDOW, "none"}:
            raise ValueError(f"invalid gelf-compression-type: {self._compression}")
        self._level = int(options.get("gelf-compression-level", "1"))
        self._fixed = {
            "version": "1.1",
            "host": tags.get("hostname") or os.uname().nodename,
            "_container_id": tags.get("id", ""),
            "_container_name": tags.get("name", ""),
            "_image_id": tags.get("image_id", ""),
            "_image_name": tags.get("image_name", ""),
            "_command": tags.get("command", ""),
            "_tag": tag_of(log),
            "_created": tags.get("created", ""),
            **{f"_{key}": value for key, value in attributes.items()},
        }

    def encode(self, stream: int, line: Line, now_ns: int) -> list[bytes]:
        """Return the datagrams, or one message that ends with a zero byte."""
        content: dict[str, str | int | float] = {
            **self._fixed,
            "short_message": line.payload.decode("utf-8", "replace"),
            "timestamp": now_ns / 1_000_000_000,
            "level": _LEVEL[stream],
        }
        encoded = json.dumps(content, separators=(",", ":")).encode()
        if not self._datagram:
            return [encoded + b"\0"]
        if self._compression != "none":
            packer = zlib.compressobj(self._level, zlib.DEFLATED, _WINDOW[self._compression])
            encoded = packer.compress(encoded) + packer.flush()
        return chunks(encoded)


def chunks(message: bytes) -> list[bytes]:
    """Cut a message into datagrams; one too long for the protocol is dropped."""
    if len(message) <= _CHUNK:
        return [message]
    size = _CHUNK - _CHUNK_HEAD
    count = -(-len(message) // size)
    if count > _MAX_CHUNKS:
        return []
    name = os.urandom(8)
    return [
        b"\x1e\x0f" + name + bytes((n, count)) + message[n * size : (n + 1) * size]
        for n in range(count)
    ]


def make(log: protocol.Message, loop: Loop, _children: Children) -> Remote:
    """Open the log.

    Raises: ValueError.
    """
    given: str = log["options"].get("gelf-address", "")
    if not given:
        raise ValueError("gelf-address is a required parameter")
    address = Address(given, default_port=12201)
    return Remote(loop, address, Gelf(log, datagram=address.datagram), log["options"])
