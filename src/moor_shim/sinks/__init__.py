"""Where a monitor writes what its process says: one module for each log driver.

Loaded by name when first asked for, so a monitor carries only what it uses.
"""

from __future__ import annotations

import sys

from moor_shim import protocol
from moor_shim.bare import TYPE_CHECKING
from moor_shim.children import Children
from moor_shim.loop import Loop

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Final, Protocol

    class Sink(Protocol):
        """A log; an ``Output`` of Stdio that is never full: a log must not stop the process."""

        def output(self, stream: int, chunk: bytes) -> None:
            """Write what was read of one stream."""

        def full(self) -> bool:
            """Return False."""

        def is_idle(self) -> bool:
            """Whether it can be closed now and opened again later, and nobody would notice."""

        def close(self) -> None:
            """Write what is held back (a last line without end) and close."""

    Maker = Callable[[protocol.Message, Loop, Children], Sink]

DRIVERS: Final = {
    "json-file": "jsonfile",
    "local": "local",
    "syslog": "syslog",
    "journald": "journald",
    "gelf": "gelf",
    "fluentd": "fluentd",
}


def make(log: protocol.Message, loop: Loop, children: Children) -> Sink | None:
    """Open the log that *log* describes: driver, options, path, attributes, tags.

    Raises: ValueError (unknown driver, bad option), OSError.
    """
    driver = log["driver"]
    if driver in {"none", ""}:
        return None
    if driver not in DRIVERS:
        raise ValueError(f"unknown log driver: {driver}")
    name = f"moor_shim.sinks.{DRIVERS[driver]}"
    __import__(name)
    maker: Maker = sys.modules[name].make
    if log["options"].get("mode") == "non-blocking":
        from moor_shim.sinks import nonblocking  # noqa: PLC0415 - a monitor without it pays nothing

        return nonblocking.begin(log, loop, children, maker)
    return maker(log, loop, children)
