"""The ``syslog`` driver: RFC 3164 and 5424, to the local daemon or a server."""

from __future__ import annotations

import os
import time
from typing import Final

from moor_shim import protocol
from moor_shim.children import Children
from moor_shim.loop import Loop
from moor_shim.sinks.lines import Line
from moor_shim.sinks.remote import Address, Remote, tag_of

_FACILITIES: Final = {
    name: number
    for number, name in enumerate(
        (
            *("kern", "user", "mail", "daemon", "auth", "syslog", "lpr", "news", "uucp", "cron"),
            *("authpriv", "ftp", "ntp", "security", "console", "solaris-cron"),
            *(f"local{n}" for n in range(8)),
        )
    )
}
_SEVERITY: Final = {protocol.STDOUT: 6, protocol.STDERR: 3}  # informational, error
_MONTHS: Final = "Jan Feb Mar Apr May Jun Jul Aug Sep Oct Nov Dec"
_FORMATS: Final = {"", "rfc3164", "rfc5424", "rfc5424micro"}


class Syslog:
    """The encoder."""

    def __init__(self, log: protocol.Message, *, local: bool) -> None:
        options: dict[str, str] = log["options"]
        self._format = options.get("syslog-format", "")
        if self._format not in _FORMATS:
            raise ValueError(f"Invalid syslog format: {self._format}")
        facility = options.get("syslog-facility", "daemon")
        number = int(facility) if facility.isdecimal() else _FACILITIES.get(facility, -1)
        if not 0 <= number < len(_FACILITIES):
            raise ValueError(f"invalid syslog facility: {facility}")
        self._facility = number
        self._tag = tag_of(log)
        self._local = local
        self._host: str = log["tags"].get("hostname") or os.uname().nodename

    def encode(self, stream: int, line: Line, now_ns: int) -> list[bytes]:
        """Return one message, with a newline: it frames them on streams."""
        priority = self._facility * 8 + _SEVERITY[stream]
        head = self._head(priority, now_ns)
        return [head.encode() + line.payload + b"\n"]

    def _head(self, priority: int, now_ns: int) -> str:
        seconds, fraction = divmod(now_ns, 1_000_000_000)
        if self._format.startswith("rfc5424"):
            micro = f".{fraction // 1000:06d}" if self._format == "rfc5424micro" else ""
            stamp = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(seconds)) + micro + "Z"
            return f"<{priority}>1 {stamp} {self._host} {self._tag} {os.getpid()} {self._tag} - "
        now = time.localtime(seconds)
        month = _MONTHS.split()[now.tm_mon - 1]
        stamp = f"{month} {now.tm_mday:2d} {now.tm_hour:02d}:{now.tm_min:02d}:{now.tm_sec:02d}"
        host = "" if self._local and not self._format else f"{self._host} "
        return f"<{priority}>{stamp} {host}{self._tag}[{os.getpid()}]: "


def make(log: protocol.Message, loop: Loop, _children: Children) -> Remote:
    """Open the log; without an address it is the local daemon's.

    Raises: ValueError.
    """
    given: str = log["options"].get("syslog-address", "")
    if given.startswith("tcp+tls"):
        raise ValueError("syslog over TLS is not supported; use a local relay")
    address = Address(given or "unixgram:///dev/log", default_port=514)
    return Remote(loop, address, Syslog(log, local=not given), log["options"])
